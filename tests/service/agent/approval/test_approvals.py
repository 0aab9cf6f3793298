"""A call that waits for a yes: who is heard, what silence means, and what is left when the turn ends."""

import asyncio

import pytest

from service.agent.approval.approvals import Approvals
from service.agent.approval.approving import Verdict
from service.agent.events import ApprovalAsked, ToolEnded
from service.agent.model import ToolUse
from service.agent.upstream.scripted import ScriptedModel, say, use
from service.audit.deed import Doer
from service.errors import Conflict, DatabaseError, NotFound
from service.seal.vault import Vault
from service.store.approvals import ApprovalStore
from service.store.database import open_database
from service.store.filters import Filters
from telemetry.record import ApprovalDecision, Outcome, ToolOutcome
from telemetry.recorder import microseconds
from tests.harness.agent import CALLER, FakeAsk, FakeTools, TurnHouse, hear_all
from tests.harness.waiting import PATIENCE

YES, NO = (Verdict(decision=each) for each in (ApprovalDecision.APPROVE, ApprovalDecision.DENY))
VAULT = Vault(masters=(bytes(range(32)),))
KEY = ("turn-1", "c1")


@pytest.fixture
async def database(tmp_path):
    opened = await open_database(f"sqlite:///{tmp_path}/parley.db", VAULT)
    yield opened
    await opened.close()


def doer():
    return Doer(caller=CALLER, request_id="r", trace_id=None, at=microseconds())


async def pay(arguments):
    del arguments
    return "paid"


def want(call_id="c1", **arguments):
    """An answer that wants to pay."""
    return use(ToolUse(call_id=call_id, name="pay", arguments=arguments))


def house(kept, seconds=PATIENCE, every=0.02, answers=()):
    """A house whose model wants to pay, once, which needs a yes."""
    tools = FakeTools(pay=pay)
    tools.facts["pay"] = {"approval": True}
    approvals = Approvals(kept, microseconds, seconds, every=every)
    script = answers or (want(to="bob"), say("done"))
    model = ScriptedModel(*script)
    made = TurnHouse(model, tools).equip(approvers=approvals)
    made.tools, made.approvals, made.model = tools, approvals, model
    return made


async def asked(running):
    """Listen until somebody is asked; gives that event."""
    while not isinstance(event := await running.hear(), ApprovalAsked):
        assert event is not None, "nobody was asked"
    return event


def told(model):
    """What the model was told of its call."""
    (result,) = model.prompts[-1].messages[-1]["content"]
    return result["content"], result["is_error"]


async def events(database):
    page = await database.questions.events(Filters(entity_type="AGENT_APPROVAL"), 9)
    return [(each.actor_id, each.metadata["decision"]) for each in page.events]


async def test_a_yes_lets_it_run_and_the_record_says_whose(database):
    made = house(database.approvals)
    async with made.listening() as running:
        event = await asked(running)
        assert (event.call_id, event.name, event.arguments) == ("c1", "pay", {"to": "bob"})
        assert made.tools.ran == []
        (waiting,) = await made.approvals.open_to(CALLER)
        assert (waiting.key, waiting.arguments) == (KEY, '{"to":"bob"}')
        await made.approvals.decide(KEY, CALLER, YES, doer())
        heard = await hear_all(running)
        record = await running.ended()
    assert made.tools.ran == [("pay", {"to": "bob"})]
    (ended,) = [each for each in heard if isinstance(each, ToolEnded)]
    (call,) = record.tool_calls
    assert (ended.outcome, call.outcome, record.outcome) == (
        ToolOutcome.FINISHED,
        ToolOutcome.FINISHED,
        Outcome.ANSWERED,
    )
    said = call.approval.decision, call.approval.decided_by, call.approval.role
    assert said == (ApprovalDecision.APPROVE, CALLER.pseudonym, CALLER.role)
    assert 0 <= call.approval.milliseconds <= call.seconds * 1000 + 1
    assert call.own_seconds == pytest.approx(call.seconds - call.approval.milliseconds / 1000, abs=0.001)
    assert await events(database) == [(CALLER.user_id, "approve")]


async def test_a_no_is_told_to_the_model_and_nothing_runs(database):
    made = house(database.approvals)
    async with made.listening() as running:
        await asked(running)
        await made.approvals.decide(KEY, CALLER, NO, doer())
        await hear_all(running)
        record = await running.ended()
    assert made.tools.ran == []
    assert told(made.model) == ("The call of pay was not approved, and was not run.", True)
    (call,) = record.tool_calls
    assert (call.outcome, call.approval.decision) == (ToolOutcome.DENIED, ApprovalDecision.DENY)
    with pytest.raises(Conflict, match="deny"):
        await made.approvals.decide(KEY, CALLER, YES, doer())


async def test_silence_is_a_no_of_nobody(database):
    made = house(database.approvals, seconds=0.05)
    _, record = await made.whole()
    assert made.tools.ran == []
    assert told(made.model) == ("Nobody approved the call of pay in time; it was not run.", True)
    (call,) = record.tool_calls
    assert call.outcome is ToolOutcome.DENIED
    assert (call.approval.decision, call.approval.decided_by) == (ApprovalDecision.EXPIRED, None)
    assert call.approval.milliseconds >= 50
    assert await events(database) == [(None, "expired")]


async def test_it_is_never_waited_for_beyond_the_turns_own_time(database):
    made = house(database.approvals, seconds=3600)
    async with made.listening() as running:
        event = await asked(running)
        assert event.expires_at <= microseconds() + 30_000_000
        running.give_up()


async def test_another_process_is_heard_by_looking(database, tmp_path):
    made = house(database.approvals)
    other = await open_database(f"sqlite:///{tmp_path}/parley.db")
    elsewhere = Approvals(other.approvals, microseconds, 1.0)
    try:
        async with made.listening() as running:
            await asked(running)
            await elsewhere.decide(KEY, CALLER, YES, doer())
            await hear_all(running)
            record = await running.ended()
    finally:
        await other.close()
    assert record.tool_calls[0].approval.decision is ApprovalDecision.APPROVE


async def test_in_its_own_process_it_is_heard_at_once(database):
    made = house(database.approvals, every=3600.0)
    async with made.listening() as running:
        await asked(running)
        await asyncio.sleep(0.05)  # the first look is over
        await made.approvals.decide(KEY, CALLER, YES, doer())
        await hear_all(running)


async def test_a_client_that_leaves_takes_the_question_with_it(database):
    made = house(database.approvals)
    async with made.listening() as running:
        await asked(running)
    assert running.record.outcome is Outcome.CLIENT_GONE
    await made.approvals.close()
    assert await database.approvals.heard(["turn-1"]) == {}
    with pytest.raises(NotFound):
        await made.approvals.decide(KEY, CALLER, YES, doer())
    assert made.tools.ran == []
    assert await events(database) == []


async def test_many_wait_by_one_question(database):
    looks = []

    class Counted(ApprovalStore):
        async def heard(self, turns):
            looks.append(set(turns))
            return await super().heard(turns)

    kept = Counted(database._engine, VAULT)
    answers = [*(want(f"c{number}") for number in range(8)), say("done")]
    made = house(kept, every=3600.0, answers=answers)
    names = [f"turn-{number}" for number in range(8)]
    running = [made.turns.start(FakeAsk(turn_id=name)) for name in names]
    keys = [(name, (await asked(each)).call_id) for name, each in zip(names, running, strict=True)]
    await asyncio.sleep(0.05)
    looks.clear()
    await made.approvals.decide(keys[0], CALLER, YES, doer())
    await hear_all(running[0])
    assert looks == [set(names)]
    for each in running:
        each.give_up()
        await each.ended()


class Away:
    """A store that does not answer, from the first time or once it was asked."""

    def __init__(self, kept=None):
        self.kept = kept

    async def ask(self, waiting):
        if self.kept is None:
            raise DatabaseError("away")
        await self.kept.ask(waiting)

    async def _fail(self, *_):
        raise DatabaseError("away")

    heard = expire = withdraw = _fail


@pytest.mark.parametrize("later", [False, True], ids=["from-the-first", "once-it-was-asked"])
async def test_where_the_database_is_away_nobody_can_be_asked(database, later):
    made = house(Away(database.approvals if later else None), 0.2)
    heard, record = await made.whole()
    assert any(isinstance(each, ApprovalAsked) for each in heard) is later
    assert told(made.model) == ("The tool pay needs somebody's approval, and nobody can be asked now.", True)
    assert record.tool_calls[0].approval.decision is ApprovalDecision.UNASKED
    assert (made.tools.ran, record.outcome) == ([], Outcome.ANSWERED)


async def test_a_person_who_is_forgotten_meanwhile_is_answered_by_nobody(database):
    made = house(database.approvals)
    async with made.listening() as running:
        await asked(running)
        await database.approvals.withdraw(KEY)  # as an erasure does
        await hear_all(running)
        record = await running.ended()
    assert record.tool_calls[0].approval.decision is ApprovalDecision.UNASKED
    assert made.tools.ran == []


async def test_without_approvers_nothing_that_needs_a_yes_is_run():
    tools = FakeTools(pay=pay)
    tools.facts["pay"] = {"approval": True}
    made = TurnHouse(ScriptedModel(want(), say("done")), tools)
    _, record = await made.whole()
    assert tools.ran == []
    assert record.tool_calls[0].outcome is ToolOutcome.DENIED
