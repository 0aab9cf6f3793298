"""Whose limits begin anew: told once, seen by every process, gone after an hour and with the person."""

import pytest

from service.audit import allowances, erasure
from service.audit.deed import Doer
from service.errors import DatabaseError
from service.store.database import open_database
from service.store.filters import Filters
from service.store.resets import HOUR, Reset
from tests.harness.sql import ask
from tests.service.store.rows import CREATED_AT, Row

NOW = CREATED_AT


def reset(number, at=NOW, user="ann", tenant=None):
    return Reset(id=f"reset-{number}", user_id=user, role="CFO", tenant=tenant, at=at)


def doer(at):
    return Doer(caller=None, request_id="r", trace_id=None, at=at, system_user="root")


async def test_a_reset_is_seen_by_another_process_and_told_to_the_audit_in_one(database, url):
    row = allowances.reset(doer(NOW), "pseudonym", "CFO")
    await database.resets.tell(reset(1, tenant="acme"), row)
    other = await open_database(url)
    try:
        assert list(await other.resets.since(NOW)) == [reset(1, tenant="acme")]
        assert list(await other.resets.since(NOW + 1)) == []
    finally:
        await other.close()
    (event,) = (await database.questions.events(Filters(entity_type="RATE_LIMIT"), 9)).events
    assert (event.action, event.entity_id, event.metadata["systemUser"]) == ("RESET", "pseudonym", "root")


async def test_without_its_event_it_is_not_told(database):
    row = allowances.reset(doer(NOW), "pseudonym", "CFO")
    await database.resets.tell(reset(1), row)
    with pytest.raises(DatabaseError):
        # the same id again: neither this reset nor its event is there
        await database.resets.tell(reset(1), allowances.reset(doer(NOW + 1), "pseudonym", "CFO"))
    assert len(await database.resets.since(0)) == 1
    assert len((await database.questions.events(Filters(entity_type="RATE_LIMIT"), 9)).events) == 1


async def test_they_are_in_the_order_of_time_and_the_audit_may_be_off(database):
    for number, at in ((1, NOW + 2), (2, NOW), (3, NOW + 1)):
        await database.resets.tell(reset(number, at), None)
    assert [each.id for each in await database.resets.since(NOW)] == ["reset-2", "reset-3", "reset-1"]
    assert (await database.questions.events(Filters(), 9)).events == ()


async def test_after_an_hour_they_go(database):
    await database.resets.tell(reset(1), None)
    await database.resets.sweep(NOW + HOUR)
    assert len(await database.resets.since(0)) == 1
    await database.resets.tell(reset(2, NOW + HOUR + 1), None)
    assert [each.id for each in await database.resets.since(0)] == ["reset-2"]
    await database.resets.sweep(NOW + 3 * HOUR)
    assert list(await database.resets.since(0)) == []


async def test_they_go_with_the_person(database, url):
    await database.audit.append([Row(id="turn-1", actor_id="ann"), Row(id="turn-2", actor_id="bob")])
    for number, user in enumerate(("ann", "bob", "ann")):
        await database.resets.tell(reset(number, user=user), None)

    def told(done):
        return erasure.erased(
            doer(NOW + 1),
            done.subject_id,
            events=done.events,
            conversations=done.conversations,
            answers=done.answers,
            api_keys=done.api_keys,
        )

    await database.erasures.erase("ann", told, NOW + 1)
    assert ask(url, "SELECT user_id FROM limit_reset") == [{"user_id": "bob"}]
