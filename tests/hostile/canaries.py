"""A word of its own in every place that takes one, and a search for all of them in all that a service leaves
and in all that it shows to others.

Refuses to look for whole values only: a word may stand in the middle of anything, and in any case.
"""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import httpx

from tests.harness.otlp import Receiver
from tests.harness.service import Service
from tests.harness.sql import ask
from tests.hostile.fuzzing import head_of
from tests.hostile.place import Place
from tests.hostile.places import PLACES

SETTINGS = {
    "AGENT_AUDIT_CONTENT": "sealed",
    "AGENT_RATE_LIMIT_MODE": "off",
    "AGENT_AUTH_FAILURES": "0",
    "AGENT_ATTACHMENTS": "4",
    "LOG_LEVEL": "debug",
    "AGENT_PUBLIC_URL": "http://parley.example",
    "AGENT_OIDC_ISSUER": "http://127.0.0.1:9",
    "AGENT_OIDC_CLIENT_ID": "parley",
    "AGENT_OIDC_CLIENT_SECRET": "the-secret-of-the-client",
}
"""Nobody answers at the provider's: what comes back from it is refused before it is asked."""
ROOMS = ("", "/chat", "/operations", "/settings", "/keys", "/sessions", "/runbook")
PAGES = ("/", "/schema", *(f"/console{room}" for room in ROOMS))
OWN = "/console/queries?limit=200"
AUDITING = ("/console/audit?limit=200", "/console/audit?entityType=all&limit=200", OWN)
TOLD = ("/api/v1/audit/events?entityType=all&limit=200", "/api/v1/audit/export", "/api/v1/usage?groupBy=user")
ONLOOKERS = ("CFO", "AUDITOR", "INTERN")
"""Roles of those who may see none of another's words."""
LOOKED_AT = 6
"""Of the latest turns, by each of them."""
CHAT = "/api/v1/agent/chat"
WORD = re.compile(r"canary(\d{3})[0-9a-f]{8}", re.IGNORECASE)
TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'",
    "postgresql": "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'",
}
"""Virtual ones lie in others, which are read."""


class Canaries:
    """Words let loose at one service: each of its own form, so that each is found by one expression."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.key = head_of(service)
        self.turns: list[str] = []
        self.answers: list[tuple[str, str]] = []
        """The sink, and what was told there."""

    def fly(self, rounds: int) -> int:
        """Put a new word into every place, so many times, and look at pages; how many requests that were."""
        with httpx.Client(base_url=self.service.url, trust_env=False, timeout=60) as client:
            for _ in range(rounds):
                for number, place in enumerate(PLACES.values()):
                    self._put(client, place, f"canary{number:03}{secrets.token_hex(4)}")
            return rounds * len(PLACES) + self._look(client)

    def _put(self, client: httpx.Client, place: Place, word: str) -> None:
        asked = dict(place.make(word))
        answer = self._ask(client, "answers", self.key, **asked)
        if asked["url"] == CHAT and place.may >= {"own"}:
            self.turns.append(answer.headers["x-request-id"])

    def _look(self, client: httpx.Client) -> int:
        """What the asker is shown of their own, and what others are shown; how many requests that were."""
        before, latest = len(self.answers), self.turns[-LOOKED_AT:]
        for page in (OWN, *(f"/console/queries/{turn}" for turn in latest)):
            self._ask(client, "own", self.key, method="GET", url=page)
        for page in PAGES:
            self._ask(client, "html", self.key, method="GET", url=page)
        for role in ONLOOKERS:
            self._onlook(client, self._key_of(client, role), latest)
        return len(self.answers) - before

    def _onlook(self, client: httpx.Client, key: str, turns: Sequence[str]) -> None:
        """See whatever somebody else is let see."""
        theirs = [f"/console/{room}/{turn}" for turn in turns for room in ("queries", "audit")]
        for page in (*PAGES, *AUDITING, *theirs):
            self._ask(client, "html", key, method="GET", url=page)
        for route in (*TOLD, *(f"/api/v1/audit/events/{turn}" for turn in turns)):
            self._ask(client, "others", key, method="GET", url=route)

    def _key_of(self, client: httpx.Client, role: str) -> str:
        body = {"user": f"onlooker-{role.lower()}", "role": role}
        made = client.post("/api/v1/keys", json=body, headers={"authorization": f"Bearer {self.key}"})
        return made.json()["key"]

    def _ask(self, client: httpx.Client, sink: str, key: str, **asked: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}", "accept": "text/html"} if sink != "answers" else {}
        headers = {"authorization": f"Bearer {key}"} | headers | asked.pop("headers", {})
        answer = client.request(**asked, headers=headers)
        self.answers.append((sink, f"{answer.headers!r} {answer.text}"))
        return answer

    def strays(self, receiver: Receiver) -> Mapping[str, str]:
        """Where a word is that the contract does not put there, with a text of it; the service has ended."""
        return dict(reversed(list(self._strays(receiver))))

    def _strays(self, receiver: Receiver) -> Iterator[tuple[str, str]]:
        names = list(PLACES)
        for sink, text in chain(self._left(receiver), self.answers):
            for found in {int(each) for each in WORD.findall(text)}:
                name = names[found]
                if sink not in PLACES[name].may:
                    yield f"{name}: in {sink}", _around(text, found)

    def _left(self, receiver: Receiver) -> Iterator[tuple[str, str]]:
        """All that the service left, by the name of the sink."""
        yield from (("lines", line) for line in self.service.stdout)
        yield "words", self.service.stderr
        yield from (("spans", repr(span)) for span in receiver.spans())
        yield from (("logs", repr(log)) for log in receiver.logs())
        yield from (
            ("metrics", repr(each)) for name in receiver.metric_names() for each in receiver.points(name)
        )
        yield from (("rows", row) for row in rows_of(self.service))
        for path in sorted(each for each in self.service.cwd.rglob("*") if each.is_file()):
            yield "files", path.read_bytes().decode("latin-1")


def rows_of(service: Service) -> Iterator[str]:
    """Every row of every table, as text."""
    file = f"sqlite:///{service.cwd / 'var' / 'parley.db'}"
    url = service.settings.get("DATABASE_URL", file)
    for table in ask(url, TABLES["sqlite" if url == file else "postgresql"]):
        name = table["name"]
        yield from (f"{name} {row!r}" for row in ask(url, f'SELECT * FROM "{name}"'))  # noqa: S608 - its own names


def counted(canaries: Canaries, receiver: Receiver) -> Mapping[str, int]:
    """In how many texts of each sink any word was: where it belongs, it must be found."""
    sums: dict[str, int] = {}
    for sink, text in chain(canaries._left(receiver), canaries.answers):
        sums[sink] = sums.get(sink, 0) + bool(WORD.search(text))
    return sums


def _around(text: str, number: int) -> str:
    found = re.search(f"canary{number:03}", text, re.IGNORECASE)
    at = found.start() if found else 0
    return repr(text[max(0, at - 150) : at + 60])
