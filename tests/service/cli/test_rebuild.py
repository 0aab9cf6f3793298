import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

from service.store.database import open_database
from telemetry.recorder import microseconds
from tests.service.store.budgets.wants import event, want

LIMITS = {"user_day": 10**6, "total_month": 10**6}


def spent(parley, tmp_path):
    """A database with a ledger over one event, and something put aside."""

    async def fill():
        database = await open_database(f"sqlite:///{tmp_path}/var/parley.db")
        now = microseconds()
        wants = [want(name, 500, at=now, limits=LIMITS, expires_at=now + 10**9) for name in ("a", "b")]
        await database.budgets.work("writer", now, wants)
        await database.audit.append([event("a", 250, created_at=now)])
        await database.close()

    assert parley("migrate").status == 0
    asyncio.run(fill())
    return tmp_path / "var" / "parley.db"


def sql(path, statement):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


def test_a_ledger_that_fits_is_left_alone(parley, tmp_path):
    path = spent(parley, tmp_path)
    for options in ([], ["--dry-run"]):
        said = parley("limits", "rebuild", "--json", *options)
        assert (said.status, json.loads(said.out)["accounts"]) == (0, [])
    assert parley("limits", "rebuild").out == "the ledger fits the events\n"
    assert sql(path, "SELECT count(*) FROM audit_event") == [(1,)]


def test_what_does_not_fit_is_said_then_corrected_and_recorded(parley, tmp_path):
    path = spent(parley, tmp_path)
    sql(path, "UPDATE budget_ledger SET spent = 7, reserved = 1 WHERE scope = 'user'")
    said = parley("limits", "rebuild", "--dry-run", "--json")
    told = json.loads(said.out)
    assert (said.status, told["drift"], told["dryRun"]) == (1, 243, True)
    (account,) = told["accounts"]
    assert (account["spent"], account["shouldSpent"], account["reserved"], account["shouldReserved"]) == (
        *(7, 250, 1, 500),
    )
    said = parley("limits", "rebuild")
    assert said.status == 0
    assert (
        "spent $0.000007, events say $0.000250; put aside $0.000001, reservations say $0.000500" in said.out
    )
    assert said.out.endswith("corrected\n")
    assert sql(path, "SELECT DISTINCT spent, reserved FROM budget_ledger") == [(250, 500)]
    ((kind, action, metadata),) = sql(
        path, "SELECT entity_type, action, metadata FROM audit_event WHERE log_index = 1"
    )
    assert (kind, action) == ("BUDGET_LEDGER", "REBUILT")
    (corrected,) = json.loads(metadata)["accounts"]
    assert (corrected["spent"], corrected["shouldSpent"], corrected["subject"]) == (
        7,
        250,
        account["subject"],
    )
    assert "ann" not in metadata


def test_what_is_not_all_kept_is_not_judged(parley, tmp_path):
    path = spent(parley, tmp_path)
    sql(path, "UPDATE budget_ledger SET spent = 7")
    said = parley("limits", "rebuild", "--dry-run", "--json", AGENT_AUDIT_RETENTION_DAYS="1")
    kept = {"user", "total"} if datetime.now(UTC).day == 1 else {"user"}
    assert {each["scope"] for each in json.loads(said.out)["accounts"]} == kept
    said = parley("limits", "rebuild", "--dry-run")
    assert said.status == 1
    assert said.out.endswith("nothing was changed\n")
