"""parley audit verify, prove, key, over a database of the test's own."""

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest

from service.seal.checkpoint import Verifier, read
from service.seal.keys import public_key
from service.store.database import open_database
from tests.service.store.rows import CREATED_AT, Row

URL = "sqlite:///var/parley.db"
OFFLINE = {"AGENT_PORT": "no number", "DATABASE_URL": "nonsense"}
"""Settings with which no command works that reads them."""


def rows(count, first=0):
    return [
        Row(
            id=f"event-{number:04d}",
            # begun in another order than they ended, as turns do
            created_at=CREATED_AT + (number ^ 1),
            query=None if number % 5 == 4 else f"=What is {number}?",
            entity_type="AGENT_QUERY" if number % 3 else "AUDIT_ACCESS",
            metadata=json.dumps({"cost": number / 7, "toolsCalled": ["a"], "n": None}),
        )
        for number in range(first, first + count)
    ]


async def _append(count, first):
    database = await open_database(URL)
    await database.audit.append(rows(count, first))
    await database.close()


@pytest.fixture
def house(parley, tmp_path):
    """A log of 300 rows, and its key in a file."""
    assert parley("migrate").status == 0
    asyncio.run(_append(300, 0))
    (tmp_path / "key.pem").write_text(parley("audit", "key").out)
    return parley


def tamper(tmp_path, *statements):
    with closing(sqlite3.connect(tmp_path / "var" / "parley.db")) as plain, plain:
        for (name,) in plain.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            plain.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            plain.execute(statement)


def exported(house, tmp_path, *arguments, name="export.jsonl"):
    said = house("audit", "export", *arguments)
    assert (said.status, said.err) == (0, "")
    path = tmp_path / name
    path.write_bytes(said.out.encode())
    return path


def verified(house, path, *arguments, status=0):
    said = house("audit", "verify", str(path), "--public-key", "key.pem", "--json", *arguments, **OFFLINE)
    assert said.status == status, (said.out, said.err)
    return json.loads(said.out)


FORMS = [
    [],
    ["--entity-type", "all"],
    ["--entity-type", "AUDIT_ACCESS"],
    ["--q", "what 7"],
    ["--format", "csv"],
    ["--format", "csv", "--entity-type", "all"],
]


@pytest.mark.parametrize("arguments", FORMS, ids=" ".join)
def test_an_export_proves_itself_with_nothing_but_the_key(house, tmp_path, arguments):
    report = verified(house, exported(house, tmp_path, *arguments))
    assert report["valid"]
    assert report["findings"] == []
    assert report["freshness"] == "unproven"
    assert report["rows"] > 0


def test_an_export_of_all_is_complete_and_others_are_not(house, tmp_path):
    whole = json.loads(exported(house, tmp_path, "--entity-type", "all").read_text().splitlines()[0])
    assert (whole["seal"]["complete"], "path" in whole["seal"]) == (True, False)
    some = exported(house, tmp_path).read_text().splitlines()
    first, second = map(json.loads, some[:2])
    assert (first["seal"]["complete"], "path" in first["seal"]) == (False, True)
    assert not {"complete", "checkpoint"} & set(second["seal"])


@pytest.mark.parametrize("arguments", [["--entity-type", "all"], []], ids=["whole", "some"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("action", "REFUSED"),
        ("createdAt", "2025-11-24T16:00:00.124Z"),
        ("costMicros", 1),
        ("cost", 0.5),
        ("totalTokens", 7),
        ("metadata", {"query": "another"}),
        ("metadata", {"toolsCalled": []}),
        ("logIndex", 3),
        ("role", None),
    ],
)
def test_a_changed_field_of_a_line_is_found(house, tmp_path, arguments, field, value):
    path = exported(house, tmp_path, *arguments)
    lines = path.read_text().splitlines()
    event = json.loads(lines[7])
    event[field] = {**event[field], **value} if isinstance(value, dict) else value
    lines[7] = json.dumps(event)
    path.write_text("\n".join(lines))
    (found,) = verified(house, path, status=1)["findings"]
    assert (found["kind"], found["id"], found["logIndex"]) == (
        "altered",
        event["id"],
        event["seal"]["logIndex"],
    )


@pytest.mark.parametrize(
    "change", [('"120"', '"121"'), ('""=What', '""=Who'), ("'=What", "'=Who"), ("CFO", "CTO")]
)
def test_a_changed_cell_of_a_sheet_is_found(house, tmp_path, change):
    path = exported(house, tmp_path, "--format", "csv", "--entity-type", "all")
    head, mute, line, *others = path.read_bytes().decode().split("\r\n")
    old, new = change
    assert old in line
    path.write_bytes("\r\n".join([head, mute, line.replace(old, new, 1), *others]).encode())
    found = verified(house, path, status=1)["findings"]
    assert {(each["kind"], each["id"]) for each in found} == {("altered", "event-0298")}


def test_a_line_that_is_gone_from_a_whole_export_is_found(house, tmp_path):
    path = exported(house, tmp_path, "--entity-type", "all")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:7], *lines[8:]]))
    (found,) = verified(house, path, status=1)["findings"]
    assert (found["kind"], found["logIndex"]) == ("deleted", json.loads(lines[7])["seal"]["logIndex"])


def test_an_export_of_nothing_is_empty(house, tmp_path):
    path = exported(house, tmp_path, "--role", "NOBODY")
    assert path.read_text() == ""
    said = house("audit", "verify", str(path), "--public-key", "key.pem", **OFFLINE)
    assert (said.status, said.out) == (2, "")
    assert "nothing to verify" in said.err


def test_one_events_proof_is_verified_offline_and_looking_is_recorded(house, tmp_path):
    for form in ([], ["--json"]):
        said = house("audit", "prove", "event-0007", *form)
        (tmp_path / "proof.json").write_text(said.out)
        event = json.loads(said.out)
        assert (event["id"], event["metadata"]["query"]) == ("event-0007", "=What is 7?")
        assert read(event["seal"]["checkpoint"], [Verifier(public_key((tmp_path / "key.pem").read_text()))])
        assert verified(house, "proof.json")["valid"]
    listed = json.loads(house("audit", "list", "--entity-type", "AUDIT_ACCESS", "--limit", "2", "--json").out)
    looks = [
        (each["metadata"]["route"], each["entityId"])
        for each in listed["events"]
        if "route" in each["metadata"]
    ]
    assert ("parley audit prove", "event-0007") in looks
    event["metadata"]["query"] = "=What is 8?"
    (tmp_path / "proof.json").write_text(json.dumps(event))
    assert not verified(house, "proof.json", status=1)["valid"]


def test_what_is_not_there_cannot_be_proved(house):
    said = house("audit", "prove", "nothing")
    assert (said.status, said.out) == (1, "")
    assert "there is no audit event of that id" in said.err


def test_a_proof_is_read_from_stdin_too(house, tmp_path, monkeypatch):
    (tmp_path / "proof.json").write_text(house("audit", "prove", "event-0007").out)
    with (tmp_path / "proof.json").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert verified(house, "-")["valid"]


def test_the_key_is_told_in_every_form_that_is_taken(house, tmp_path):
    told = json.loads(house("audit", "key", "--json").out)
    assert told["algorithm"] == "Ed25519"
    assert told["publicKey"].rstrip() == (tmp_path / "key.pem").read_text().rstrip()
    assert told["vkey"].startswith(told["origin"] + "+")
    path = exported(house, tmp_path)
    raw = public_key(told["vkey"]).raw
    for text in (told["vkey"], raw.hex(), told["publicKey"]):
        (tmp_path / "other").write_text(text)
        assert house("audit", "verify", str(path), "--public-key", "other", **OFFLINE).status == 0
    assert house("audit", "verify", str(path), "--public-key", told["vkey"], **OFFLINE).status == 0
    foreign = "00" * 31 + "01"
    assert house("audit", "verify", str(path), "--public-key", foreign, **OFFLINE).status == 1
    both = ("--public-key", foreign, "--public-key", told["vkey"])
    assert house("audit", "verify", str(path), *both, **OFFLINE).status == 0


def test_the_live_log_is_verified_by_its_own_key_with_a_word_about_that(house):
    said = house("audit", "verify", "--json")
    report = json.loads(said.out)
    assert (said.status, report["valid"], report["rows"], report["freshness"]) == (0, True, 300, "unproven")
    assert report["findings"] == []
    assert "a key kept elsewhere" in said.err
    assert house("audit", "verify", "--public-key", "key.pem").err == ""


def test_a_checkpoint_kept_elsewhere_makes_it_fresh(house, tmp_path):
    house("audit", "prove", "event-0007", AGENT_AUDIT_CHECKPOINT_LOG="kept.jsonl")
    kept = json.loads((tmp_path / "kept.jsonl").read_text())
    assert kept["size"] == 300
    said = house("audit", "verify", "--checkpoint", "kept.jsonl", "--json")
    assert json.loads(said.out)["freshness"] == kept["time"]
    words = house("audit", "verify", "--checkpoint", "kept.jsonl").out
    assert words.startswith("Valid: 301 events")
    assert kept["time"] in words
    tables = ("audit_event", "audit_content", "audit_event_tool")
    cut = (f"DELETE FROM {table} WHERE log_index >= 200" for table in tables)  # noqa: S608 - our own names
    tamper(tmp_path, "DELETE FROM audit_checkpoint", "DELETE FROM audit_tile", *cut)
    assert house("audit", "verify").status == 0
    said = house("audit", "verify", "--checkpoint", "kept.jsonl", "--json")
    assert said.status == 1
    assert [each["kind"] for each in json.loads(said.out)["findings"]] == ["replayed"]


def test_a_changed_row_is_told_in_words(house, tmp_path):
    tamper(tmp_path, "UPDATE audit_event SET role = 'GUEST' WHERE log_index = 7")
    said = house("audit", "verify")
    first, last = said.out.splitlines()
    assert said.status == 1
    assert first.startswith("altered at 7, event event-0007: ")
    assert last.startswith("Not valid: 1 findings in 300 events. Freshness is unproven")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export.jsonl"], "give --public-key"),
        (["nowhere", "--public-key", "key.pem"], "nowhere"),
        (["export.jsonl", "--public-key", "nowhere"], "nowhere: The public key is not"),
        (["export.jsonl", "--public-key", "export.jsonl"], "export.jsonl: The public key is not"),
        (["key.pem", "--public-key", "key.pem"], "neither an export nor a proof"),
        (["export.jsonl", "--public-key", "key.pem", "--checkpoint", "key.pem"], "no checkpoint in it"),
        (["export.jsonl", "--public-key", "key.pem", "--checkpoint", "foreign"], "None of the checkpoints"),
        ([".", "--public-key", "key.pem"], "Is a directory"),
    ],
)
def test_what_cannot_be_worked_with_is_wrong_use(house, tmp_path, arguments, words):
    path = exported(house, tmp_path)
    note = json.loads(path.read_text().splitlines()[0])["seal"]["checkpoint"]
    (tmp_path / "foreign").write_text(note.replace("\n300\n", "\n299\n"))
    said = house("audit", "verify", *arguments, **OFFLINE)
    assert (said.status, said.out) == (2, "")
    assert words in said.err


def test_an_empty_log_is_nothing_to_verify(parley):
    assert parley("migrate").status == 0
    said = parley("audit", "verify")
    assert said.status == 2
    assert "nothing to verify" in said.err
