"""Turns as a limiter sees them, from each engine."""

import json

from service.audit import allowances
from service.audit.deed import Doer
from tests.service.store.rows import CREATED_AT, Row

DECIDED = {"decision": "allowed", "policy": "role", "decidedAt": "2025-11-24T16:00:00.250Z"}
SECOND = 1_000_000
FOR_EVER = 1 << 62


def row(number, *, rate_limit=DECIDED, tenant=None, **facts):
    told = {"rateLimit": rate_limit} | ({"tenant": tenant} if tenant else {})
    known = {"id": f"turn-{number:04d}", "created_at": CREATED_AT + number, "metadata": json.dumps(told)}
    return Row(**known | facts)


async def all_of(database, since=0, until=FOR_EVER, size=1000):
    pages = [page async for page in database.admissions.pages(since, until, size)]
    assert all(len(page) <= size for page in pages)
    return [each for page in pages for each in page]


async def test_a_turn_is_told_with_its_decision(database):
    await database.audit.append([row(1, actor_id="ann", tenant="acme", writer="w", writer_seq=1)])
    (asked,) = await all_of(database)
    assert (asked.user_id, asked.role, asked.tenant, asked.model) == ("ann", "CFO", "acme", "model-1")
    assert (asked.tokens, asked.cost_micros, asked.count, asked.counted) == (120, 1_250_000, 1, True)
    # 250 ms and less than one more
    assert asked.decided_at == 1_764_000_000 * SECOND + 251_000
    assert (asked.ended_at - asked.at, asked.writer) == (1500 * 1000, "w")


async def test_pages_go_on_where_they_ended_in_the_order_of_time(database):
    # within one microsecond too, and appended in another order
    rows = [row(number, created_at=CREATED_AT + number // 3) for number in range(20)]
    await database.audit.append(rows[10:])
    await database.audit.append(rows[:10])
    for size in (1, 3, 7, 20, 21):
        asked = await all_of(database, size=size)
        assert len({each.log_index for each in asked}) == 20
        assert [each.at for each in asked] == sorted(each.created_at for each in rows)


async def test_a_span_has_its_beginning_and_not_its_end(database):
    await database.audit.append([row(number) for number in range(5)])
    asked = await all_of(database, CREATED_AT + 1, CREATED_AT + 3)
    assert [each.at - CREATED_AT for each in asked] == [1, 2]


async def test_what_never_came_to_the_limits_is_not_told(database):
    refused = {"outcome": "refused", "action": "REFUSED"}
    await database.audit.append(
        [
            row(1, category="validation", code="invalid_request", rate_limit=None, **refused),
            row(2, actor_id=None, role=None, category="authentication", rate_limit=None, **refused),
            row(3, entity_type="AUDIT_ACCESS", outcome=None),
            row(4, category="rate_limit", code="rate_limited", count=7, **refused),
            row(5, outcome="failed", category="agent_service"),
            row(6, rate_limit=None),
        ]
    )
    asked = await all_of(database)
    assert [(each.at - CREATED_AT, each.count) for each in asked] == [(4, 7), (5, 1), (6, 1)]


async def test_counted_is_what_a_store_counted(database):
    kinds = [("allowed", "role"), ("denied", "role"), ("observed", "role"), ("observed", "budget_user_day")]
    decided = [DECIDED | {"decision": decision, "policy": policy} for decision, policy in kinds]
    rows = [row(number, rate_limit=each) for number, each in enumerate([*decided, None])]
    await database.audit.append([*rows, row(9, metadata='{"rateLimit":7}')])
    assert [each.counted for each in await all_of(database)] == [True, False, False, True, False, False]


async def test_somebody_who_was_forgotten_has_no_name(database):
    await database.audit.append([row(1, actor_id="ann")])
    (before,) = await all_of(database)
    await database._engine.run_ddl("DELETE FROM audit_subject")
    (after,) = await all_of(database)
    assert (before.user_id, after.user_id, after.subject) == ("ann", None, before.subject)


async def test_the_tenant_is_that_of_each_turn(database):
    await database.audit.append([row(2, tenant="new"), row(1, tenant="old"), row(3, actor_id="bob")])
    assert [turn.tenant for turn in await all_of(database)] == ["old", "new", None]


async def test_resets_are_told_by_pseudonym_the_last_of_each(database):
    def deed(at, who):
        return allowances.reset(Doer(caller=None, request_id="r", trace_id=None, at=at), who, "CFO")

    assert await database.admissions.head() == 0
    await database.audit.append([deed(CREATED_AT + 5, "a"), deed(CREATED_AT + 3, "a"), deed(CREATED_AT, "b")])
    assert await database.admissions.resets(CREATED_AT + 1) == {"a": CREATED_AT + 5}
    assert await database.admissions.head() == 3
