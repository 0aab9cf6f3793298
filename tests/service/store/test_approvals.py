"""Calls that wait for a yes: who sees them, who decides, once, and what is left of it afterwards."""

import asyncio

import pytest
from msgspec import structs

from service.audit import approval, erasure
from service.audit.deed import Doer
from service.errors import Conflict, DatabaseError, Forbidden, NotFound
from service.seal.vault import Vault
from service.store.approvals import DAY, Decided, Decider, Waiting
from service.store.database import open_database
from service.store.filters import Filters
from tests.harness.sql import ask
from tests.service.store.rows import CREATED_AT, Row

NOW = CREATED_AT
SOON = NOW + 60_000_000
VAULT = Vault(masters=(bytes(range(32)),))
SECRET = "zq9-account"
WAITING = Waiting(
    turn_id="turn-1",
    call_id="call-1",
    user_id="ann",
    tenant=None,
    tool="pay",
    approvers=frozenset(),
    arguments=f'{{"to":"{SECRET}"}}',
    trace_id="a" * 32,
    asked_at=NOW,
    expires_at=SOON,
)
FOUR_EYES = structs.replace(WAITING, call_id="call-2", approvers=frozenset({"CFO", "AUDIT_HEAD"}))


def decider(user="ann", role="AUDITEE", tenant=None):
    return Decider(user_id=user, role=role, tenant=tenant, pseudonym=f"pseudonym of {user}")


ANN, BOB, CFO = decider(), decider("bob"), decider("carl", "CFO")


def tell(decision, reason=None):
    doer = Doer(caller=None, request_id="r", trace_id=None, at=NOW)
    return lambda waiting: approval.decided(
        doer, waiting.turn_id, waiting.call_id, waiting.tool, decision, 5, reason=reason
    )


@pytest.fixture
async def database(url):
    opened = await open_database(url, VAULT)
    yield opened
    await opened.close()


async def events(database):
    page = await database.questions.events(Filters(entity_type="AGENT_APPROVAL"), 9)
    return [(each.action, each.entity_id, each.metadata["decision"]) for each in page.events]


async def test_a_call_is_seen_by_its_caller_in_another_process_and_decided_once(database, url):
    await database.approvals.ask(WAITING)
    other = await open_database(url, VAULT)
    try:
        assert list(await other.approvals.open_to(ANN, NOW)) == [WAITING]
        assert await other.approvals.heard(["turn-1"]) == {WAITING.key: None}
        assert await other.approvals.decide(WAITING.key, ANN, "approve", NOW, tell("approve")) == WAITING
    finally:
        await other.close()
    decided = Decided(decision="approve", decided_by="pseudonym of ann", role="AUDITEE")
    assert await database.approvals.heard(["turn-1", "turn-2"]) == {WAITING.key: decided}
    assert await database.approvals.open_to(ANN, NOW) == []
    with pytest.raises(Conflict, match="decided already: approve"):
        await database.approvals.decide(WAITING.key, ANN, "deny", NOW, tell("deny"))
    assert await events(database) == [("APPROVAL", "turn-1", "approve")]


async def test_of_many_that_decide_at_once_one_does(database):
    await database.approvals.ask(WAITING)

    async def decide(decision):
        try:
            await database.approvals.decide(WAITING.key, ANN, decision, NOW, tell(decision))
        except Conflict as error:
            return error.detail
        return decision

    said = await asyncio.gather(*(decide(each) for each in ("approve", "deny") * 4))
    (one,) = [each for each in said if each in {"approve", "deny"}]
    assert [each for each in said if each != one] == [f"It is decided already: {one}."] * 7
    assert await events(database) == [("APPROVAL", "turn-1", one)]


@pytest.mark.parametrize(
    ("who", "waiting", "error"),
    [
        (BOB, WAITING, NotFound),
        (CFO, WAITING, NotFound),
        (decider(tenant="acme"), WAITING, NotFound),
        (ANN, FOUR_EYES, Forbidden),
        (BOB, FOUR_EYES, NotFound),
        (decider("carl", "CFO", "acme"), FOUR_EYES, NotFound),
        (decider("x", "CF_"), FOUR_EYES, NotFound),
    ],
    ids=["stranger", "any-role", "other-tenant", "own", "no-role", "role-of-other-tenant", "like-role"],
)
async def test_whoever_may_not_decide_learns_nothing_and_decides_nothing(database, who, waiting, error):
    await database.approvals.ask(waiting)
    assert await database.approvals.open_to(who, NOW) == []
    with pytest.raises(error):
        await database.approvals.decide(waiting.key, who, "approve", NOW, tell("approve"))
    assert await database.approvals.heard(["turn-1"]) == {waiting.key: None}
    assert await events(database) == []


@pytest.mark.parametrize("who", [CFO, decider("ann", "CFO"), decider("h", "AUDIT_HEAD")], ids=str)
async def test_where_roles_are_named_one_in_them_decides(database, who):
    await database.approvals.ask(FOUR_EYES)
    assert list(await database.approvals.open_to(who, NOW)) == [FOUR_EYES]
    await database.approvals.decide(FOUR_EYES.key, who, "deny", NOW, None)
    heard = await database.approvals.heard(["turn-1"])
    assert heard[FOUR_EYES.key] == Decided(decision="deny", decided_by=who.pseudonym, role=who.role)
    assert await events(database) == []


async def test_what_ran_out_is_decided_by_nobody_and_closed_once(database):
    await database.approvals.ask(WAITING)
    assert await database.approvals.open_to(ANN, SOON) == []
    with pytest.raises(Conflict, match="expired"):
        await database.approvals.decide(WAITING.key, ANN, "approve", SOON, tell("approve"))
    for _ in range(2):
        assert await database.approvals.expire(WAITING.key, SOON, tell("expired")) == Decided(
            decision="expired"
        )
    assert await events(database) == [("APPROVAL", "turn-1", "expired")]


async def test_a_decision_that_came_first_is_what_closing_finds(database):
    await database.approvals.ask(WAITING)
    await database.approvals.decide(WAITING.key, ANN, "approve", NOW, None)
    found = await database.approvals.expire(WAITING.key, SOON, tell("expired"))
    assert found == Decided(decision="approve", decided_by=ANN.pseudonym, role=ANN.role)
    assert await database.approvals.expire(("turn-1", "other"), SOON, tell("expired")) is None
    assert await events(database) == []


async def test_without_its_event_nothing_is_decided(database):
    await database.approvals.ask(WAITING)
    taken = tell("approve")(WAITING)
    await database.audit.append([taken])

    def break_off(waiting):
        del waiting
        raise DatabaseError("no event")

    with pytest.raises(DatabaseError):
        await database.approvals.decide(WAITING.key, ANN, "approve", NOW, break_off)
    assert await database.approvals.heard(["turn-1"]) == {WAITING.key: None}


async def test_a_turn_that_is_over_waits_for_nobody(database):
    await database.approvals.ask(WAITING)
    await database.audit.append([Row(id="turn-1", actor_id="ann", outcome="interrupted")])
    assert await database.approvals.open_to(ANN, NOW) == []
    with pytest.raises(NotFound):
        await database.approvals.decide(WAITING.key, ANN, "approve", NOW, tell("approve"))
    assert await events(database) == []


async def test_one_that_is_withdrawn_is_gone_but_a_decision_stays(database):
    for waiting in (WAITING, FOUR_EYES):
        await database.approvals.ask(waiting)
    await database.approvals.decide(WAITING.key, ANN, "approve", NOW, None)
    for waiting in (WAITING, FOUR_EYES):
        await database.approvals.withdraw(waiting.key)
    assert list(await database.approvals.heard(["turn-1"])) == [WAITING.key]


async def test_the_same_call_cannot_wait_twice(database):
    await database.approvals.ask(WAITING)
    await database.approvals.decide(WAITING.key, ANN, "approve", NOW, None)
    with pytest.raises(DatabaseError):
        await database.approvals.ask(WAITING)


async def test_arguments_are_never_kept_in_clear_and_go_with_the_decision(database, url):
    await database.approvals.ask(WAITING)
    kept = ask(url, "SELECT arguments FROM approval")[0]["arguments"]
    assert len(kept) > len(SECRET)
    assert SECRET.encode() not in bytes(kept)
    await database.approvals.decide(WAITING.key, ANN, "deny", NOW, tell("deny", "not today"))
    assert ask(url, "SELECT arguments, decided_by FROM approval") == [
        {"arguments": None, "decided_by": ANN.pseudonym}
    ]


async def test_without_a_key_it_waits_and_shows_no_arguments(url):
    database = await open_database(url)
    try:
        await database.approvals.ask(WAITING)
        (found,) = await database.approvals.open_to(ANN, NOW)
        assert found == structs.replace(WAITING, arguments=None)
    finally:
        await database.close()


async def test_rows_go_a_day_after_they_ran_out(database, url):
    await database.approvals.ask(WAITING)
    for number, at in ((2, SOON + DAY), (3, SOON + DAY + 1)):
        call = structs.replace(WAITING, call_id=f"call-{number}", asked_at=at, expires_at=at + 1)
        await database.approvals.ask(call)
        assert len(ask(url, "SELECT call_id FROM approval")) == 2


async def test_they_go_with_the_person(database, url):
    await database.audit.append([Row(id="turn-0", actor_id="ann")])
    await database.approvals.ask(WAITING)
    await database.approvals.ask(structs.replace(WAITING, turn_id="turn-2", user_id="bob"))

    def told(done):
        counts = structs.asdict(done)
        doer = Doer(caller=None, request_id="r", trace_id=None, at=NOW + 1)
        return erasure.erased(doer, counts.pop("subject_id"), **counts)

    await database.erasures.erase("ann", told, NOW + 1)
    assert ask(url, "SELECT user_id FROM approval") == [{"user_id": "bob"}]


async def test_the_reason_is_content_of_its_event(database):
    await database.approvals.ask(WAITING)
    await database.approvals.decide(WAITING.key, ANN, "deny", NOW, tell("deny", "too much"))
    (event,) = (await database.questions.events(Filters(entity_type="AGENT_APPROVAL"), 9)).events
    assert event.metadata["query"] == "too much"
    assert {"callId": "call-1", "tool": "pay", "milliseconds": 5}.items() <= event.metadata.items()
