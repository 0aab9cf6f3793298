"""parley limits show, reset and suggest: what they print, what they change, how they end."""

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest

from service.cli import counted, state
from service.limits.redis import RedisStore
from service.store.database import open_database
from telemetry.record import Caller
from telemetry.recorder import microseconds
from tests.harness.ports import claim
from tests.harness.redis import Redis
from tests.service.store.budgets.wants import event, want
from tests.service.store.rows import Row

ANN = Caller(user_id="ann", role="GUEST", method="", credential_id="", pseudonym="")
TOKENS = {"AGENT_TOKENS_PER_MINUTE": "500"}


@pytest.fixture(scope="module")
def server():
    with Redis() as server:
        yield server


@pytest.fixture
def filled(parley, tmp_path):
    """Fill a new database with rows, and the ledger with what is wanted."""

    def fill(*rows, wants=()):
        async def work():
            database = await open_database(f"sqlite:///{tmp_path}/var/parley.db")
            if wants:
                await database.budgets.work("writer", microseconds(), wants)
            await database.audit.append(rows)
            await database.close()

        assert parley("migrate").status == 0
        asyncio.run(work())

    return fill


def sql(tmp_path, statement):
    with closing(sqlite3.connect(tmp_path / "var" / "parley.db")) as connection:
        return connection.execute(statement).fetchall()


def row(number, ago=0.0, **facts):
    known = {"actor_id": "ann", "role": "GUEST", "created_at": microseconds() - round(ago * 1_000_000)}
    return Row(id=f"turn-{number:05d}", **known | facts)


def ask_redis(url, times):
    """Have a store in Redis admit so many turns of ann's."""

    async def work(settings):
        store, rules = RedisStore(url, patience=5), counted.rules_of(settings)
        for number in range(times):
            demand = rules.of_turn(ANN, f"lease-{number}", None, 10)
            assert not (await store.decide(demand)).denied
        await store.close()

    asyncio.run(work(state.settings()))


def test_without_a_shared_store_it_says_what_holds_and_who_knows_the_rest(parley, filled):
    filled(row(1))
    said = parley("limits", "show", "ann", "--json", **TOKENS)
    told = json.loads(said.out)
    assert (said.status, told["subject"], told["role"], told["degraded"]) == (0, "ann", "GUEST", False)
    assert [
        (each["name"], each["limit"], each["window"], each["remaining"]) for each in told["policies"]
    ] == [
        ("role", 10, 60.0, None),
        ("tokens", 500, 60.0, None),
        ("concurrency", 100, 180.0, None),
    ]
    assert "GET /api/v1/limits/USER" in said.err


def test_with_a_shared_store_it_says_what_remains(parley, filled, server, monkeypatch):
    filled(row(1))
    url = server.url(database=1)
    monkeypatch.setenv("AGENT_TOKENS_PER_MINUTE", "500")
    ask_redis(url, 3)
    said = parley("limits", "show", "ann", "--json", AGENT_RATE_LIMIT_STORE=url)
    told = {each["name"]: each for each in json.loads(said.out)["policies"]}
    assert (said.status, said.err) == (0, "")
    assert (told["role"]["remaining"], told["concurrency"]["remaining"]) == (7, 97)
    assert 0 < told["role"]["reset"] <= 60
    assert told["tokens"]["remaining"] < 100
    assert "role: 10 in 60 s, 7 left" in parley("limits", "show", "ann", AGENT_RATE_LIMIT_STORE=url).out
    # looking costs nothing
    said = parley("limits", "show", "ann", "--json", AGENT_RATE_LIMIT_STORE=url)
    assert json.loads(said.out)["policies"][0]["remaining"] == 7


def test_a_shared_store_is_reset_by_the_command_and_the_audit_told(parley, filled, server, tmp_path):
    filled(row(1))
    url = server.url(database=2)
    ask_redis(url, 10)
    said = parley("limits", "reset", "ann", "--json", AGENT_RATE_LIMIT_STORE=url)
    assert said.status == 0
    assert json.loads(said.out) == {"subject": "ann", "role": "GUEST", "store": "redis", "reset": True}
    said = parley("limits", "show", "ann", "--json", AGENT_RATE_LIMIT_STORE=url)
    assert json.loads(said.out)["policies"][0]["remaining"] == 10
    assert sql(tmp_path, "SELECT count(*) FROM limit_reset") == [(0,)]
    ((about, told),) = sql(
        tmp_path, "SELECT entity_id, metadata FROM audit_event WHERE entity_type = 'RATE_LIMIT'"
    )
    assert "ann" not in about + told
    assert json.loads(told)["systemUser"]


def test_a_shared_store_that_is_away_is_said(parley, filled):
    filled(row(1))
    away = f"redis://127.0.0.1:{claim()}/0"
    said = parley("limits", "show", "ann", "--json", AGENT_RATE_LIMIT_STORE=away)
    assert (said.status, json.loads(said.out)["policies"][0]["remaining"]) == (0, None)
    assert "does not answer" in said.err
    said = parley("limits", "reset", "ann", AGENT_RATE_LIMIT_STORE=away)
    assert (said.status, said.out) == (2, "")
    assert "nothing was forgotten" in said.err


def test_in_memory_the_services_are_told_with_the_audit(parley, filled, tmp_path):
    filled(row(1, actor_id="acme\x1fann", metadata='{"tenant":"acme"}'))
    assert parley("limits", "reset", "ann").status == 1
    said = parley("limits", "reset", "ann", "--tenant", "acme")
    assert (said.status, said.out.partition(":")[0]) == (0, "ann")
    kept = sql(tmp_path, "SELECT user_id, role, tenant FROM limit_reset")
    assert kept == [("ann", "GUEST", "acme")]
    events = "SELECT action FROM audit_event WHERE entity_type = 'RATE_LIMIT'"
    assert sql(tmp_path, events) == [("RESET",)]
    assert (
        parley("limits", "reset", "ann", "--tenant", "acme", AGENT_AUDIT_LOGGING_ENABLED="false").status == 0
    )
    assert sql(tmp_path, events) == [("RESET",)]


@pytest.mark.parametrize("verb", ["show", "reset"])
def test_an_unknown_user_is_a_no(parley, filled, tmp_path, verb):
    filled(row(1))
    said = parley("limits", verb, "nobody")
    assert (said.status, said.out, said.err) == (1, "", "parley: there is no user of that name\n")
    assert sql(tmp_path, "SELECT count(*) FROM limit_reset") == [(0,)]


def test_budgets_stand_in_dollars(parley, filled):
    limits = {"user_day": 10**6, "total_month": 10**7, "role_day": 10**6}
    now = microseconds()
    wants = [
        want(name, 500_000, at=now, role="GUEST", limits=limits, expires_at=now + 10**9)
        for name in ("a", "b")
    ]
    filled(event("a", 250_000, created_at=now, role="GUEST"), wants=wants)
    money = {
        "AGENT_BUDGET_USER_DAY_USD": "1",
        "AGENT_BUDGET_TOTAL_MONTH_USD": "10",
        "AGENT_BUDGET_ROLE_DAY_USD": "1.5",
    }
    told = json.loads(parley("limits", "show", "ann", "--json", **money).out)["budgets"]
    assert {each["name"]: (each["limit"], each["spent"], each["reserved"]) for each in told} == {
        "user_day": (1.0, 0.25, 0.5),
        "role_day": (1.5, 0.25, 0.5),
        "total_month": (10.0, 0.25, 0.5),
    }
    assert all(0 < each["reset"] <= 31 * 86_400 for each in told)
    everyone = json.loads(parley("limits", "show", "--json", **money).out)
    assert [each["name"] for each in everyone["budgets"]] == ["total_month"]
    spent = {role: [each["spent"] for each in told["budgets"]] for role, told in everyone["roles"].items()}
    assert (spent["GUEST"], spent["CFO"], spent["other"]) == ([0.25], [0.0], [])
    assert everyone["settings"]["budgets"] == {"user_day": 1.0, "role_day": 1.5, "total_month": 10.0}
    words = parley("limits", "show", **money).out
    assert "total_month: $0.250000 spent, $0.500000 put aside of $10.00" in words


def test_without_a_user_every_setting_is_told_and_no_password(parley, filled):
    filled()
    given = {
        "AGENT_RATE_LIMIT_TENANT": "50",
        "AGENT_RATE_LIMIT_ADDRESS": "60",
        "AGENT_RATE_LIMIT_MODELS": "claude-sonnet-5-5=5",
        "AGENT_RATE_LIMIT_TOOLS": "calculate=7",
        "AGENT_RATE_LIMIT_STORE": "redis://:secret-word@127.0.0.1:1/0",
    }
    said = parley("limits", "show", "--json", **given | TOKENS)
    told = json.loads(said.out)
    assert told["settings"] == {
        "window": 60.0,
        "address": 60,
        "tenant": 50,
        "models": {"claude-sonnet-5-5": 5},
        "tools": {"calculate": 7},
        "concurrency": 100,
        "tokensPerMinute": 500,
        "budgets": {},
    }
    assert (told["mode"], told["store"]) == ("enforce", "redis")
    words = parley("limits", "show", **given).out
    assert "tools: calculate=7" in words
    assert "secret-word" not in said.out + words


def test_with_the_mode_off_nothing_holds(parley, filled):
    filled(row(1))
    off = {"AGENT_RATE_LIMIT_MODE": "off", "AGENT_BUDGET_USER_DAY_USD": "1"}
    told = json.loads(parley("limits", "show", "ann", "--json", **off).out)
    assert (told["policies"], told["budgets"]) == ([], [])


@pytest.fixture
def asked(filled):
    """A burst of ann's, one turn of the boss's, a flood of eve's, and somebody's from long ago."""
    facts = {"input_tokens": 90, "output_tokens": 10, "cost_micros": 2_000}
    burst = [row(number, ago=3_600, **facts) for number in range(17)]
    refused = {"outcome": "refused", "action": "REFUSED", "category": "rate_limit", "cost_micros": 0}
    flood = row(50, ago=3_600, actor_id="eve", count=90, input_tokens=0, output_tokens=0, **refused)
    old = row(60, ago=15 * 86_400, actor_id="old", count=999)
    filled(*burst, flood, old, row(70, role="CFO", actor_id="boss", ago=60, **facts))


@pytest.mark.usefixtures("asked")
def test_numbers_are_proposed_by_what_was_asked(parley):
    told = json.loads(parley("limits", "suggest", "--json", "--without", "eve").out)
    cfo, guest = told["roles"]
    assert (told["turns"], cfo["role"], guest["role"]) == (18, "CFO", "GUEST")
    assert (guest["max"], guest["present"], guest["proposed"]) == (17, 10, 20)
    assert (guest["refusedByPresent"], guest["refusedByProposed"]) == (7, 0)
    assert guest["busiest"] == {"user": "ann", "p99": 17}
    # at once come 17 turns that may ask for 5,520 tokens each: a fifth of the limit
    assert (told["tokensPerMinute"]["p99"], told["tokensPerMinute"]["proposed"]) == (1_700, 500_000)
    assert (told["dollarsPerDay"]["max"], told["dollarsPerDay"]["proposed"]) == (0.034, 0.5)


@pytest.mark.usefixtures("asked")
def test_they_are_ready_to_paste_and_taken_by_the_settings(parley):
    told = json.loads(parley("limits", "suggest", "--json", "--without", "eve").out)
    assert told["settings"] == {
        "AGENT_RATE_LIMIT_ROLES": "CFO=1,GUEST=20",
        "AGENT_TOKENS_PER_MINUTE": "500000",
        "AGENT_BUDGET_USER_DAY_USD": "0.5",
    }
    taken = json.loads(parley("limits", "show", "--json", **told["settings"]).out)
    assert taken["roles"]["GUEST"]["policies"][0]["limit"] == 20
    assert taken["settings"]["budgets"] == {"user_day": 0.5}
    again = parley("limits", "suggest", "--without", "eve").out.splitlines()
    assert again[-3:] == [f"{name}={value}" for name, value in told["settings"].items()]


@pytest.mark.usefixtures("asked")
def test_nobody_is_left_out_unasked(parley):
    with_eve = json.loads(parley("limits", "suggest", "--json").out)
    assert with_eve["roles"][1]["proposed"] == 100
    assert with_eve["roles"][1]["refusedByPresent"] == 7 + 80


def test_a_span_without_turns_is_nothing_to_work_on(parley, filled):
    filled(row(1))
    said = parley("limits", "suggest", "--to", "2020-01-01", "--json")
    assert (said.status, said.out, said.err) == (2, "", "parley: nobody asked anything in that time\n")
    assert parley("limits", "suggest", "--from", "2020-01-02", "--to", "2020-01-01").status == 2
    assert parley("limits", "suggest", "--from", "soon").status == 2
