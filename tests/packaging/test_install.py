"""The wheel in an environment of its own, outside the checkout: the walk's essentials, on each database."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct

from tests.harness.chat import ask, stream
from tests.harness.service import Service
from tests.harness.waiting import wait
from tests.packaging.archive import PACKAGES, ROOT, VERSION, run

CONTRACT = (
    """SELECT * FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY' ORDER BY "createdAt" DESC LIMIT 10;"""
)
COLUMNS = {"id", "entityType", "entityId", "action", "actorId", "metadata", "createdAt"}


class Place(Struct, frozen=True):
    """A service that runs from the wheel, and its database as a foreign client asks it."""

    service: Service
    sql: Callable[[str], list[dict[str, Any]]]

    def rows(self, *turns: str) -> list[dict[str, Any]]:
        """The contract's rows once these turns are among them, their metadata decoded."""

        def there() -> bool:
            return {row["entityId"] for row in self.sql(CONTRACT)} >= set(turns)

        wait(there, seen=self.service.said)
        return [row | {"metadata": json.loads(row["metadata"])} for row in self.sql(CONTRACT)]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request, installed, tmp_path_factory):
    """One place for each database, migrated by its own command before the service starts."""
    settings = {}
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        settings["DATABASE_URL"] = server.database()
    service = Service(tmp_path_factory.mktemp("elsewhere"), settings, [str(installed / "parley")])

    def sql(query: str) -> list[dict[str, Any]]:
        return (
            server.sql(query, settings["DATABASE_URL"].rpartition("/")[2]) if settings else service.sql(query)
        )

    done = service.cli("migrate")
    assert done.returncode == 0, done.stderr
    with service:
        yield Place(service, sql)


def test_it_tells_the_version_of_the_package(installed, tmp_path):
    assert run([str(installed / "parley"), "--version"], tmp_path) == f"parley {VERSION}\n"


def test_what_runs_is_the_wheel_and_not_the_checkout(installed, tmp_path):
    program = "".join(f"import {name}; print({name}.__file__);" for name in PACKAGES)
    places = run([str(installed / "python"), "-c", program], tmp_path).split()
    assert len(places) == 3
    assert all(place.startswith(str(installed.parent)) for place in places)
    assert not any(place.startswith(str(ROOT)) for place in places)


def test_its_packages_fit_together(installed, uv, tmp_path):
    run([uv, "pip", "check", "-q", "--python", str(installed / "python")], tmp_path)


def test_a_question_is_answered_and_streamed_and_both_are_in_the_audit(place):
    answer = ask(place.service, "What is 12*7?").json()
    with stream(place.service, "What is 12*7?") as streamed:
        done = streamed.rest()[-1].data
    assert "84" in answer["response"]
    assert answer["toolsCalled"] == done["toolsCalled"] == ["calculate"]
    assert answer["cost"] > 0
    rows = {row["entityId"]: row for row in place.rows(answer["id"], done["id"])}
    for turn in (answer, done):
        row = rows[turn["id"]]
        assert row.keys() >= COLUMNS
        assert (row["actorId"], row["metadata"]["query"]) == ("dev", "What is 12*7?")
        assert (row["metadata"]["usage"]["totalTokens"], row["metadata"]["cost"]) == (
            turn["usage"]["totalTokens"],
            turn["cost"],
        )


def test_a_key_that_is_made_there_is_let_in(place):
    done = place.service.cli("keys", "create", "--user", "ann", "--role", "AUDITOR", "--json")
    made = json.loads(done.stdout)
    assert done.returncode == 0
    turn = ask(place.service, "Hello", key=made["key"]).json()["id"]
    (row,) = (row for row in place.rows(turn) if row["entityId"] == turn)
    assert (row["actorId"], row["metadata"]["role"]) == ("ann", "AUDITOR")


def test_it_ends_in_order_and_what_it_kept_is_there_again(place):
    turn = ask(place.service, "Hello").json()["id"]
    assert place.service.stop() == 0
    assert turn in {row["entityId"] for row in place.sql(CONTRACT)}
    place.service.start()
    assert ask(place.service, "Hello").status_code == 200
