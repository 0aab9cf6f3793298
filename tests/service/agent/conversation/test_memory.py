"""Conversations as turns see them: what is told again, what is kept, and who has to wait."""

import asyncio

import pytest
from msgspec.structs import replace

from service.agent import hold
from service.agent.events import Text
from service.agent.model import ContentBegan, TextPiece, ToolUse
from service.agent.upstream.scripted import Pause, ScriptedModel, begin, say, use
from service.errors import (
    Conflict,
    DatabaseAway,
    DatabaseError,
    IdempotencyMismatch,
    NotFound,
    Unauthenticated,
    UpstreamOverloaded,
)
from telemetry.failure import Code
from telemetry.record import Decision, Outcome
from tests.harness.agent import (
    ALLOWED,
    CALLER,
    QUESTION,
    FakeAsk,
    FakeClaim,
    FakeConversations,
    FakeGate,
    FakeTools,
    TurnHouse,
    hear_all,
)

AGAIN = replace(QUESTION, message="And then?", continues=True)
BOB = replace(CALLER, user_id="bob")


def asking(question=AGAIN, turn_id="turn-2", **other):
    return FakeAsk(question, turn_id=turn_id, **other)


def contents(prompt):
    return [(message["role"], message["content"]) for message in prompt.messages]


def kept(house):
    return [turn.turn_id for _, _, turn in house.conversations.kept.values()]


async def test_the_next_turn_is_told_what_was_said():
    model = ScriptedModel(say("So ", "much."), say("Then this."), say("x"))
    house = TurnHouse(model)
    await house.whole(asking(QUESTION, "turn-1"))
    await house.whole(asking())
    await house.whole(asking(turn_id="turn-3"))
    assert contents(model.prompts[1])[0] == ("user", "How much?")
    assert contents(model.prompts[1])[1][1][0]["text"] == "So much."
    assert contents(model.prompts[1])[2:] == [("user", "And then?")]
    assert [role for role, _ in contents(model.prompts[2])] == ["user", "assistant"] * 2 + ["user"]
    assert [(turn.position, turn.turn_id) for _, _, turn in house.conversations.kept.values()] == [
        (1, "turn-1"),
        (2, "turn-2"),
        (3, "turn-3"),
    ]


async def test_tools_and_their_results_are_told_again_as_they_were():
    async def echo(_):
        return "seen"

    model = ScriptedModel(use(ToolUse("c1", "echo", {"a": 1})), say("done"), say("x"))
    house = TurnHouse(model, FakeTools(echo=echo))
    await house.whole(asking(QUESTION, "turn-1"))
    await house.whole(asking())
    first, second = model.prompts[1], model.prompts[2]
    assert list(second.messages[: len(first.messages)]) == list(first.messages)
    assert [message["role"] for message in second.messages] == [
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert "\nseen\n" in second.messages[2]["content"][0]["content"]


async def test_a_conversation_that_was_not_named_is_not_looked_for():
    house = TurnHouse(ScriptedModel(say("x")))
    house.conversations.recall = None
    _, record = await house.whole(asking(QUESTION))
    assert (record.outcome, kept(house)) == (Outcome.ANSWERED, ["turn-2"])


async def test_an_unknown_one_that_was_named_begins():
    house = TurnHouse(ScriptedModel(say("x")))
    _, record = await house.whole(asking())
    assert (record.outcome, kept(house)) == (Outcome.ANSWERED, ["turn-2"])


async def test_the_title_is_how_the_first_message_begins():
    house = TurnHouse(ScriptedModel(say("x")))
    await house.whole(asking(replace(QUESTION, message="ü" * 100)))
    ((user, title, _),) = house.conversations.kept.values()
    assert (user, title) == ("ann", "ü" * 80)


@pytest.mark.parametrize("away", [None, DatabaseError("away")])
async def test_anothers_is_a_refused_turn(away):
    model, gate = ScriptedModel(say("x")), FakeGate()
    house = TurnHouse(model, gate=gate)
    await house.whole(asking(QUESTION, "turn-1"))
    house.conversations.away = away
    events, record = await house.whole(asking(caller=BOB))
    expected = (Outcome.FAILED, Code.DATABASE_ERROR) if away else (Outcome.REFUSED, Code.NOT_FOUND)
    assert ((record.outcome, record.failure.code), events, gate.asked) == (expected, [], 1)
    assert (kept(house), len(model.prompts)) == (["turn-1"], 1)


ENDINGS = {
    "failed": (*begin(), ContentBegan(), TextPiece("x"), UpstreamOverloaded("busy")),
    "left": (*begin(), ContentBegan(), TextPiece("x"), Pause(asyncio.Event().wait)),
}


@pytest.mark.parametrize("how", ENDINGS)
async def test_a_turn_that_was_not_answered_leaves_nothing_and_holds_nothing(how):
    model = ScriptedModel(ENDINGS[how], say("y"))
    house = TurnHouse(model)
    async with house.listening(asking(QUESTION, "turn-1")) as running:
        while not isinstance(await running.hear(), Text):
            pass
    assert kept(house) == []
    await house.whole(asking())
    assert (contents(model.prompts[-1]), kept(house)) == ([("user", "And then?")], ["turn-2"])


async def test_a_refusal_holds_nothing():
    denied = replace(ALLOWED, decision=Decision.DENIED)
    house = TurnHouse(ScriptedModel(say("y")), gate=FakeGate(denied))
    for number in range(2):
        _, record = await house.whole(asking(turn_id=f"turn-{number}"))
        assert record.failure.code is Code.RATE_LIMITED
    assert (kept(house), house.turns.memory._present) == ([], {})


async def test_two_turns_at_once_are_one_and_a_conflict():
    go_on = asyncio.Event()
    model = ScriptedModel((*begin(), ContentBegan(), TextPiece("a"), Pause(go_on.wait), *say("b")), say("c"))
    gate = FakeGate()
    house = TurnHouse(model, gate=gate)
    async with house.listening(asking(QUESTION, "turn-1")) as first:
        await first.hear()
        _, second = await house.whole(asking())
        assert (second.outcome, second.failure.code) == (Outcome.REFUSED, Code.CONFLICT)
        assert (second.failure.retry_after_ms, gate.asked) == (1_000, 1)
        go_on.set()
        await hear_all(first)
    _, third = await house.whole(asking(turn_id="turn-3"))
    assert (third.outcome, kept(house)) == (Outcome.ANSWERED, ["turn-1", "turn-3"])


async def test_another_user_is_not_held_up_by_a_turn_in_the_same_id():
    go_on = asyncio.Event()
    model = ScriptedModel((*begin(), ContentBegan(), TextPiece("a"), Pause(go_on.wait), *say("b")), say("c"))
    house = TurnHouse(model)
    async with house.listening(asking(QUESTION, "turn-1")) as first:
        await first.hear()
        _, other = await house.whole(asking(caller=BOB))
        assert other.outcome is Outcome.ANSWERED
        go_on.set()


class Slow(FakeConversations):
    """A database that keeps nothing before `go_on`."""

    def __init__(self):
        super().__init__()
        self.go_on = asyncio.Event()

    async def keep(self, user_id, title, turn, patience=0.0):
        await self.go_on.wait()
        return await super().keep(user_id, title, turn, patience)


async def test_a_slow_save_holds_up_neither_the_answer_nor_the_next_turn(monkeypatch):
    monkeypatch.setattr(hold, "PATIENCE", 0.01)
    model, slow = ScriptedModel(say("first"), say("second"), say("third")), Slow()
    house = TurnHouse(model, conversations=slow)
    for number, question in enumerate((QUESTION, AGAIN, AGAIN), 1):
        events, record = await house.whole(asking(question, f"turn-{number}"))
        assert (record.outcome, len(events)) == (Outcome.ANSWERED, 2)
    assert kept(house) == []
    assert [content for role, content in contents(model.prompts[2]) if role == "user"] == [
        "How much?",
        "And then?",
        "And then?",
    ]
    slow.go_on.set()
    await house.turns.stop()
    assert sorted(kept(house)) == ["turn-1", "turn-2", "turn-3"]
    assert house.turns.memory._present == {}


async def test_a_save_is_tried_until_the_database_is_back(monkeypatch):
    monkeypatch.setattr(hold, "PATIENCE", 0.0)
    house = TurnHouse(ScriptedModel(say("x"), say("y")))
    house.turns._settlement._pauses = (0.001,)
    house.conversations.away = DatabaseError("away")
    _, record = await house.whole(asking(QUESTION, "turn-1"))
    assert (record.outcome, kept(house)) == (Outcome.ANSWERED, [])
    house.conversations.away = None
    await house.turns.stop()
    assert (kept(house), house.turns.memory._present) == (["turn-1"], {})


async def test_a_conversation_that_began_in_an_outage_goes_on_in_it(monkeypatch):
    monkeypatch.setattr(hold, "PATIENCE", 0.0)
    model = ScriptedModel(say("first"), say("second"), say("third"))
    house = TurnHouse(model)
    house.turns._settlement._pauses = (0.001,)
    house.conversations.away = DatabaseAway("away")
    for number, question in enumerate((QUESTION, AGAIN, AGAIN), 1):
        _, record = await house.whole(asking(question, f"turn-{number}"))
        assert record.outcome is Outcome.ANSWERED
    assert (kept(house), house.turns.unsettled) == ([], 3)
    assert [content for role, content in contents(model.prompts[2]) if role == "user"] == [
        "How much?",
        "And then?",
        "And then?",
    ]
    house.conversations.away = None
    await house.turns.stop()
    assert sorted(turn.position for _, _, turn in house.conversations.kept.values()) == [1, 2, 3]
    assert (house.turns.memory._present, house.turns.unsettled) == ({}, 0)


async def test_a_conversation_of_before_the_outage_does_not(monkeypatch):
    monkeypatch.setattr(hold, "PATIENCE", 0.0)
    house = TurnHouse(ScriptedModel(say("x"), say("y")))
    house.turns._settlement._pauses = (0.001,)
    await house.whole(asking(QUESTION, "turn-1"))
    house.conversations.away = DatabaseAway("away")
    _, refused = await house.whole(asking())
    assert refused.failure.code is Code.DATABASE_ERROR
    unknown = replace(AGAIN, conversation_id="0190163d-8694-739b-b3c1-cf0a1b2c3d4f")
    _, refused = await house.whole(asking(unknown, "turn-3"))
    assert refused.failure.code is Code.DATABASE_ERROR
    assert house.turns.memory._present == {}


async def test_a_history_of_which_a_part_was_written_is_not_told_as_a_whole(monkeypatch):
    monkeypatch.setattr(hold, "PATIENCE", 0.0)
    house = TurnHouse(ScriptedModel(say("x"), say("y"), say("z")))
    house.turns._settlement._pauses = (0.001,)
    await house.whole(asking(QUESTION, "turn-1"))
    recall = house.conversations.recall

    async def still_read(*arguments):
        house.conversations.away = None
        found = await recall(*arguments)
        house.conversations.away = DatabaseAway("away")
        return found

    house.conversations.recall = still_read
    _, record = await house.whole(asking())
    assert (record.outcome, kept(house)) == (Outcome.ANSWERED, ["turn-1"])
    house.conversations.recall = recall
    _, refused = await house.whole(asking(turn_id="turn-3"))
    assert refused.failure.code is Code.DATABASE_ERROR
    house.conversations.away = None
    await house.turns.stop()
    assert kept(house) == ["turn-1", "turn-2"]


async def test_leaving_during_the_look_holds_nothing():
    looking, conversations = asyncio.Event(), FakeConversations()

    async def recall(*_):
        looking.set()
        await asyncio.Event().wait()

    conversations.recall = recall
    house = TurnHouse(ScriptedModel(), conversations=conversations)
    async with house.listening(asking()):
        await looking.wait()
    assert house.records[0].outcome is Outcome.CLIENT_GONE
    assert house.turns.memory._present == {}


async def test_hiding_says_whether_a_turn_may_still_come():
    go_on = asyncio.Event()
    house = TurnHouse(ScriptedModel((*begin(), ContentBegan(), Pause(go_on.wait), *say("b"))))
    memory, place = house.turns.memory, QUESTION.conversation_id
    await memory.hide(place, "ann")
    async with house.listening(asking(QUESTION)) as running:
        await running.hear()
        await memory.hide(place, "ann")
        await memory.hide(place, "bob")
        go_on.set()
        await hear_all(running)
    await memory.hide(place, "ann")
    assert house.conversations.hidden == [
        (place, "ann", False),
        (place, "ann", True),
        (place, "bob", False),
        (place, "ann", False),
    ]


async def test_a_claim_is_settled_with_the_answer():
    claim = FakeClaim()
    house = TurnHouse(ScriptedModel(say("a", "b")))
    _, record = await house.whole(asking(claim=claim))
    (answer,) = claim.settled
    assert (answer.record, answer.text, answer.messages[0]["content"]) == (record, "ab", "And then?")


async def test_a_claim_is_settled_before_the_answer_is_over():
    claim, house = FakeClaim(), TurnHouse(ScriptedModel(say("a")))
    async with house.listening(asking(claim=claim)) as running:
        await hear_all(running)
        assert len(claim.settled) == 1


UNANSWERED = [
    ({"claim": FakeClaim(Conflict("no"))}, Code.CONFLICT, 1),
    ({"claim": FakeClaim(IdempotencyMismatch("no"))}, Code.IDEMPOTENCY_MISMATCH, 1),
    ({"claim": FakeClaim(DatabaseError("no"))}, Code.DATABASE_ERROR, 1),
    ({"claim": FakeClaim(), "caller": Unauthenticated("no")}, Code.UNAUTHENTICATED, 0),
    ({"claim": FakeClaim(), "question": NotFound("no")}, Code.NOT_FOUND, 0),
    ({"claim": FakeClaim()}, Code.UPSTREAM_OVERLOADED, 1),
]


@pytest.mark.parametrize(("how", "code", "settled"), UNANSWERED)
async def test_a_claim_of_a_turn_that_was_not_answered_is_let_go(how, code, settled):
    gate = FakeGate()
    house = TurnHouse(ScriptedModel((*begin(), ContentBegan(), UpstreamOverloaded("busy"))), gate=gate)
    _, record = await house.whole(FakeAsk(**how))
    assert (record.failure.code, how["claim"].settled) == (code, [None] * settled)
    assert gate.asked == (code is Code.UPSTREAM_OVERLOADED)


async def test_a_claim_is_let_go_when_the_client_leaves_while_it_is_taken():
    taking, claim = asyncio.Event(), FakeClaim()

    async def take():
        taking.set()
        await asyncio.Event().wait()

    claim.take = take
    house = TurnHouse(ScriptedModel())
    async with house.listening(asking(claim=claim)):
        await taking.wait()
    assert (house.records[0].outcome, claim.settled) == (Outcome.CLIENT_GONE, [None])
