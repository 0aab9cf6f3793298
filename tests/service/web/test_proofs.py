"""What the routes hand out proves itself, on each engine."""

import asyncio
import io
import json
import logging

import pytest

from service.audit.export_proof import verify_export
from service.audit.verify import Keys, Verifier
from service.cli.sheet import lines_of
from service.store.shown import shown
from service.web.verification import FRESH, Verifying
from telemetry import names
from tests.harness.problems import problem
from tests.harness.sdk import Counted
from tests.harness.sql import ask
from tests.service.store.rows import CREATED_AT, Row
from tests.service.web.asking import KEY, asking

EVENTS, EXPORT = "/api/v1/audit/events", "/api/v1/audit/export"
VERIFY = "/api/v1/audit/verify"
KEYS = Keys([Verifier(KEY.public)])
MASKED, SEEING = "a/AUDITOR", "h/AUDIT_HEAD"
METADATA = {
    "cost": 1e-06,
    "big": 12345678901234567890,
    "deep": [{"a": 1.5}, [None, True]],
    "text": 'ü\u2028"\\',
}


def rows(count):
    return [
        Row(
            id=f"event-{number:04d}",
            created_at=CREATED_AT + 999 * (number ^ 3),
            role="CFO" if number % 50 == 7 else "GUEST",
            query=f"-Secret {number}\n" if number % 2 else None,
            metadata=json.dumps({**METADATA, "number": number}),
            response_time_ms=None if number % 3 else number,
        )
        for number in range(count)
    ]


@pytest.fixture
async def asked(database_url):
    async with asking(database_url) as made:
        await made.database.audit.append(rows(700))
        yield made


def checked(text, outside=()):
    report = verify_export(text.split("\n"), KEYS, shown, outside)
    assert report.valid, report.findings
    return report


@pytest.mark.parametrize("caller", [MASKED, SEEING])
@pytest.mark.parametrize(
    ("parameters", "count"),
    [({}, 700), ({"entityType": "all"}, 700), ({"role": "CFO"}, 14), ({"tool": "x"}, 0)],
)
async def test_an_export_proves_itself_whoever_asked(asked, caller, parameters, count):
    response = await asked.get(EXPORT, caller, **parameters)
    sheet = await asked.get(EXPORT, caller, format="csv", **parameters)
    assert response.status_code == 200
    if count:
        assert (
            checked(response.text).rows
            == checked("\n".join(lines_of(io.StringIO(sheet.text, newline="")))).rows
            == count
        )
    else:
        assert response.text == ""


async def test_who_may_not_see_content_gets_no_salt(asked):
    for caller, salted in ((MASKED, False), (SEEING, True)):
        lines = [
            json.loads(line)
            for line in (await asked.get(EXPORT, caller, role="GUEST")).text.strip().split("\n")
        ]
        assert any("salt" in line["seal"] for line in lines) is salted
        proof = (await asked.get(f"{EVENTS}/event-0001/proof", caller)).json()
        assert ("salt" in proof["seal"]) is salted
        assert ("Secret" in json.dumps(proof)) is salted
        assert checked(json.dumps(proof)).rows == 1


async def test_only_what_a_checkpoint_is_over_is_exported_and_all_of_that(asked):
    first = json.loads((await asked.get(EXPORT)).text.strip().split("\n")[0])
    assert (await asked.database.checkpoints.latest()).note == first["seal"]["checkpoint"]
    assert first["seal"]["checkpoint"].split("\n")[1] == "700"
    await asked.database.audit.append([Row(id="late", created_at=CREATED_AT)])
    again = (await asked.get(EXPORT)).text.strip().split("\n")
    assert (len(again), checked("\n".join(again)).size) == (701, 701)
    assert len([kept async for page in asked.database.checkpoints.pages() for kept in page]) == 2


async def test_an_event_of_the_past_is_proved_under_the_checkpoint_there_is(asked):
    await asked.get(f"{EVENTS}/event-0001/proof")
    await asked.database.audit.append([Row(id="late")])
    text = (await asked.get(f"{EVENTS}/event-0699/proof")).text
    assert checked(text).checkpoint_size == 700
    assert checked((await asked.get(f"{EVENTS}/late/proof")).text).checkpoint_size == 701


async def test_taking_a_proof_is_recorded_whoever_takes_it(asked):
    for caller in (MASKED, SEEING):
        await asked.get(f"{EVENTS}/event-0001/proof", caller)
    assert [(row.action, row.entity_id) for row in asked.noted] == [("READ", "event-0001")] * 2
    assert json.loads(asked.noted[0].metadata)["route"] == f"GET {EVENTS}/{{event_id}}/proof"
    problem(await asked.get(f"{EVENTS}/nothing/proof"), 404, "not_found")


async def test_the_key_is_that_of_the_checkpoints(asked):
    told = (await asked.get("/api/v1/audit/key", MASKED)).json()
    assert told == {"algorithm": "Ed25519", "publicKey": KEY.pem, "vkey": KEY.vkey, "origin": KEY.origin}


async def test_the_whole_log_is_verified(asked):
    await asked.get(EXPORT)
    report = (await asked.get(VERIFY, MASKED)).json()
    assert (report["valid"], report["rows"], report["freshness"]) == (True, 700, "unproven")
    assert (report["findings"], report["size"], report["checkpointSize"]) == ([], 700, 700)


def change(database_url, role):
    """Change an event behind the service's back."""
    table = "" if "sqlite" in database_url else " ON audit_event"
    ask(database_url, f"DROP TRIGGER IF EXISTS audit_event_unchanged{table}")
    ask(database_url, f"UPDATE audit_event SET role = '{role}' WHERE log_index = 5")  # noqa: S608 - a test's own


async def test_what_was_changed_is_told_and_the_verdict_stands_for_a_while(asked, database_url):
    assert (await asked.get(VERIFY)).json()["valid"]
    change(database_url, "CEO")
    assert (await asked.get(VERIFY)).json()["valid"]
    now = 0.0
    verifying = Verifying(asked.database, KEY, clock=lambda: now)
    (found,) = (await verifying.report()).findings
    assert (found.kind, found.log_index, found.id) == ("altered", 5, "event-0005")
    ask(database_url, "UPDATE audit_event SET role = 'GUEST' WHERE log_index = 5")
    assert not (await verifying.report()).valid
    now = FRESH
    assert (await verifying.report()).valid


async def test_a_verdict_is_counted_and_a_bad_one_is_a_line(asked, database_url, caplog):
    counted = {result: Counted(names.AUDIT_VERIFICATIONS, result=result) for result in ("valid", "invalid")}
    await Verifying(asked.database, KEY).report()
    assert [each() for each in counted.values()] == [1, 0]
    change(database_url, "CEO")
    await Verifying(asked.database, KEY).report()
    assert [each() for each in counted.values()] == [1, 1]
    (line,) = [record.line for record in caplog.records if record.name == "parley"]
    assert (line.type, line.level) == ("audit_invalid", logging.ERROR)
    assert line.fields == {
        "findings": 1,
        "finding": "altered",
        "logIndex": 5,
        "error": line.fields["error"],
        "rows": 700,
    }


async def test_one_verification_runs_at_a_time(asked):
    first, second = await asyncio.gather(asked.get(VERIFY), asked.get(VERIFY))
    assert first.json()["valid"]
    body = problem(second, 409, "conflict")
    assert (body["retryable"], "retry-after" in second.headers) == (True, True)


async def test_without_a_database_there_is_no_verdict(asked):
    await asked.database.close()
    for path in (VERIFY, f"{EVENTS}/event-0001/proof", EXPORT):
        problem(await asked.get(path), 500, "database_error")
