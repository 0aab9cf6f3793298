import asyncio
import io
import json
import sys

import pytest

from service.cli import state
from service.store.database import open_database
from tests.harness.sql import ask
from tests.service.store.people import EVENTS, found_in, found_in_files, live, people

ANN, BOB, EVE = people(3, 51)
CONTENT = {"clear": {}, "sealed": {"AGENT_AUDIT_CONTENT": "sealed"}}


@pytest.fixture
def lived(parley, tmp_path):
    """A database in which people left records; gives its URL."""

    async def fill(settings):
        database = await open_database(settings.database_url, state.vault(settings))
        for each in (ANN, BOB, EVE):
            await live(database, each)
        await database.close()

    assert parley("migrate").status == 0
    asyncio.run(fill(state.settings()))
    return f"sqlite:///{tmp_path}/var/parley.db"


def erase(parley, *names, more=()):
    subjects = [word for name in names for word in ("--subject", name)]
    return parley("audit", "erase", *subjects, *more)


def subjects(url):
    return {row["user_id"] for row in ask(url, "SELECT user_id FROM audit_subject")}


def test_people_are_forgotten_and_their_keys_are_said_to_go(parley, lived, tmp_path):
    said = erase(parley, ANN.name, BOB.name, more=["--yes"])
    assert said.status == 0
    lines = said.out.splitlines()
    counts = f"({EVENTS} events, 1 conversations, 1 kept answers, 1 API keys)"
    assert [line.partition("; ")[0] for line in lines[:2]] == [
        f"{each.name}: erased {counts}" for each in (ANN, BOB)
    ]
    assert subjects(lived) == {EVE.name}
    assert not found_in_files((tmp_path / "var").iterdir()) & (ANN.words | BOB.words)
    assert found_in_files((tmp_path / "var").iterdir()) >= EVE.clear


@pytest.mark.usefixtures("lived")
def test_json_says_the_same(parley):
    said = erase(parley, ANN.name, "nobody", more=["--yes", "--json"])
    told = json.loads(said.out)
    ann, nobody = told["subjects"]
    assert (said.status, told["left"]) == (1, [])
    assert (ann["subject"], ann["erased"], ann["events"], ann["apiKeys"]) == (ANN.name, True, EVENTS, 1)
    assert nobody == {"subject": "nobody", "erased": False, "why": "There is nobody of that name."}
    (event,) = json.loads(parley("audit", "list", "--entity-type", "AUDIT_ERASURE", "--json").out)["events"]
    assert (event["entityId"], event["actorId"]) == (ann["subjectId"], None)
    assert event["metadata"]["systemUser"]


def test_names_come_from_a_file_too(parley, lived, tmp_path):
    names = tmp_path / "names"
    names.write_text(f"{ANN.name}\r\n\n{BOB.name}\n{ANN.name}\n")
    said = erase(parley, more=["--subjects-from", str(names), "--yes"])
    assert (said.status, subjects(lived)) == (0, {EVE.name})


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_wrong_use(parley, lived, tmp_path, content):
    names = tmp_path / "names"
    if content:
        names.write_bytes(content)
    said = erase(parley, more=["--subjects-from", str(names), "--yes"])
    assert (said.status, said.out, len(subjects(lived))) == (2, "", 3)
    assert "Traceback" not in said.err


def test_without_a_terminal_a_script_is_taken_at_its_word(parley, lived, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    said = erase(parley, ANN.name)
    assert (said.status, len(subjects(lived))) == (0, 2)
    assert "Forget" not in said.err


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("answer", "left"), [("yes", 2), ("no", 3), ("", 3), ("y", 3)])
def test_on_a_terminal_it_asks(parley, lived, monkeypatch, answer, left):
    monkeypatch.setattr(sys, "stdin", Terminal(f"{answer}\n"))
    said = erase(parley, ANN.name)
    assert f"Forget {ANN.name}?" in said.err
    assert len(subjects(lived)) == left


def test_nobody_named_is_wrong_use(parley, lived):
    assert erase(parley, more=["--yes"]).status == 2
    assert len(subjects(lived)) == 3


def test_the_second_time_is_a_no(parley, lived):
    assert erase(parley, ANN.name, more=["--yes"]).status == 0
    said = erase(parley, ANN.name, more=["--yes"])
    assert (said.status, said.out.splitlines()[0]) == (
        1,
        f"{ANN.name}: not erased: There is nobody of that name.",
    )
    assert len(subjects(lived)) == 2


def test_a_hold_is_placed_listed_and_released_and_erasing_waits_for_it(parley, lived):
    hold = ("audit", "hold", "--subject", ANN.name, "--reason", "case\x1b 7")
    assert parley(*hold).out == f"{ANN.name} is under legal hold\n"
    assert parley(*hold).status == 1
    assert "case\\u001b 7" in parley("audit", "holds").out
    (told,) = json.loads(parley("audit", "holds", "--json").out)
    assert (told["subject"], told["reason"]) == (ANN.name, "case\x1b 7")
    said = erase(parley, ANN.name, more=["--yes"])
    assert (said.status, "case" in said.out, len(subjects(lived))) == (1, True, 3)
    release = ("audit", "release", "--subject", ANN.name)
    assert [parley(*release).status, parley(*release).status] == [0, 1]
    assert parley("audit", "holds").out == "no holds\n"
    assert erase(parley, ANN.name, more=["--yes"]).status == 0


@pytest.mark.usefixtures("lived")
def test_what_was_left_can_be_cleared_later(parley):
    said = parley("audit", "scrub")
    assert (said.status, said.out) == (0, "nothing deleted is left\n")


@pytest.mark.parametrize("content", CONTENT)
def test_list_show_and_export_show_texts_also_where_they_are_sealed(parley, tmp_path, content):
    async def fill(settings):
        database = await open_database(settings.database_url, state.vault(settings))
        await live(database, ANN)
        await database.close()

    assert parley("migrate").status == 0
    with pytest.MonkeyPatch.context() as patched:
        for name, value in CONTENT[content].items():
            patched.setenv(name, value)
        asyncio.run(fill(state.settings()))
    listed = json.loads(parley("audit", "list", "--json").out)["events"]
    assert [each["metadata"]["query"] for each in listed][::-1] == list(ANN.texts)
    assert json.loads(parley("audit", "show", listed[0]["id"]).out)["metadata"]["query"] == ANN.texts[-1]
    exported = [json.loads(line) for line in parley("audit", "export").out.splitlines()]
    assert [each["metadata"]["query"] for each in exported][::-1] == list(ANN.texts)
    texts = found_in("".join(ANN.texts).encode())
    found = found_in_files((tmp_path / "var").glob("parley.db*"))
    assert found & texts == (texts if content == "clear" else set())
