"""What the log comes to for operators, added up by slots of time, on each engine."""

import json

import pytest

from service.store.pulse import SLICE
from tests.service.store.rows import CREATED_AT, Row

MINUTE = 60_000_000
BEGIN = CREATED_AT // MINUTE * MINUTE


def said(decision="allowed", policy="role", left=5, first=None, calls=1):
    limit = {"decision": decision, "policy": policy, "limit": 20, "remaining": left}
    return json.dumps({"modelCalls": [{"firstTextMs": first}] * calls, "rateLimit": limit})


def row(name, after=0, **given):
    given.setdefault("metadata", said())
    return Row(id=name, entity_id=name, created_at=BEGIN + after * 1_000_000, **given)


async def told(database, *rows, step=MINUTE):
    await database.audit.append(rows)
    return await database.pulse.stretch(0, len(rows), step)


async def test_turns_count_when_they_ended_by_outcome_code_role_and_model(database):
    stretch = await told(
        database,
        row("a", 0, response_time_ms=59_999),
        row("b", 0, response_time_ms=60_000),
        row("c", 61, response_time_ms=1, cost_micros=7),
        row("d", 1, outcome="failed", code="upstream_error", response_time_ms=None),
    )
    found = {(each.slot - BEGIN // MINUTE, each.outcome, each.code): each for each in stretch.turns}
    assert {key: each.turns for key, each in found.items()} == {
        (0, "answered", None): 1,
        (1, "answered", None): 2,
        (0, "failed", "upstream_error"): 1,
    }
    assert found[1, "answered", None].cost == 1_250_007
    assert found[1, "answered", None].tokens == 240
    assert {(each.role, each.model) for each in stretch.turns} == {("CFO", "model-1")}


async def test_a_row_that_stands_for_many_counts_as_many(database):
    stretch = await told(database, row("a", count=7, outcome="refused", code="rate_limited", cost_micros=2))
    assert [(each.turns, each.cost, each.tokens) for each in stretch.turns] == [(7, 14, 840)]
    assert [each.turns for each in stretch.users] == [7]
    assert [(each.code, each.answered, each.turns) for each in stretch.slices] == [("rate_limited", False, 7)]


async def test_users_by_what_the_limiter_said_and_what_was_left_at_the_least(database):
    stretch = await told(
        database,
        row("a", actor_id="ann", metadata=said(left=9)),
        row("b", actor_id="ann", metadata=said(left=2)),
        row("c", actor_id="ann", metadata=said("denied", "budget_user_day", 0)),
        row("d", actor_id=None, role=None, metadata='{"outcome":"refused"}'),
    )
    named = await database.pulse.named([each.subject for each in stretch.users if each.subject])
    found = {
        (named.get(each.subject), each.decision, each.policy): (each.turns, each.least)
        for each in stretch.users
    }
    assert found == {
        ("ann", "allowed", "role"): (2, 0.1),
        ("ann", "denied", "budget_user_day"): (1, 0.0),
        (None, None, None): (1, None),
    }


@pytest.mark.parametrize(("milliseconds", "bucket"), [(100, 0), (101, 1), (409_600, 12), (409_601, 13)])
async def test_a_turns_time_is_in_the_metrics_own_bucket(database, milliseconds, bucket):
    stretch = await told(database, row("a", response_time_ms=milliseconds), step=10**12)
    assert [(each.bucket, each.number) for each in stretch.times] == [(bucket, 1)]


async def test_only_turns_that_reached_the_model_have_a_time(database):
    stretch = await told(database, row("a", metadata=said(calls=0)), row("b", metadata="{}"))
    assert stretch.times == ()


async def test_each_model_call_has_its_first_text(database):
    calls = json.dumps({"modelCalls": [{"firstTextMs": 10}, {"firstTextMs": 11}, {"firstTextMs": None}, {}]})
    stretch = await told(database, row("a", metadata=calls))
    assert sorted((each.bucket, each.number) for each in stretch.firsts) == [(0, 1), (1, 1)]


async def test_metadata_that_a_database_cannot_read_hides_no_other_row(database):
    odd = said()[:-1] + ', "odd": "\\ud800"}'
    stretch = await told(database, row("a", metadata=odd), row("b"))
    assert sum(each.turns for each in stretch.turns) == 2
    assert sum(each.turns for each in stretch.users) == 2


async def test_slices_of_ten_seconds_have_errors_and_answers(database):
    stretch = await told(
        database,
        row("a", 0, response_time_ms=0),
        row("b", 9, response_time_ms=0),
        row("c", 10, response_time_ms=0, outcome="failed", code="internal"),
        row("d", 10, response_time_ms=0, outcome="client_gone"),
    )
    first = BEGIN // SLICE
    found = sorted((each.slice - first, each.code, each.turns) for each in stretch.slices)
    assert found == [(0, None, 2), (1, "internal", 1)]


async def test_other_events_and_other_places_are_not_counted(database):
    await database.audit.append([row("a"), row("b", entity_type="AUDIT_ACCESS"), row("c")])
    assert sum(each.turns for each in (await database.pulse.stretch(0, 2, MINUTE)).turns) == 1
    assert sum(each.turns for each in (await database.pulse.stretch(1, 3, MINUTE)).turns) == 1
    assert await database.pulse.head() == 3


async def test_the_first_place_of_a_time(database):
    assert await database.pulse.head() == 0
    assert await database.pulse.first(0) is None
    await database.audit.append([row("a", 0), row("b", 30), row("c", 20), row("d", 40)])
    assert await database.pulse.first(BEGIN + 15_000_000) == 1
    assert await database.pulse.first(BEGIN + 35_000_000) == 3
    assert await database.pulse.first(BEGIN + 50_000_000) is None
