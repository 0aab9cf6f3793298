"""What a process holds of conversations: one turn over all processes, and a database away holds up nobody."""

import asyncio

import pytest
from msgspec.structs import replace

from service.agent import hold
from service.agent.conversation import leases
from service.agent.conversation.leases import Leases
from service.agent.model import ContentBegan, TextPiece
from service.agent.upstream.scripted import Pause, ScriptedModel, begin, say
from service.errors import Conflict, DatabaseAway, DatabaseError, UpstreamOverloaded
from telemetry.failure import Code
from telemetry.record import Outcome
from tests.harness.agent import FakeConversations, FakeGate, TurnHouse, hear_all
from tests.service.agent.conversation.test_memory import AGAIN, asking, contents, kept

PLACE = ("ann", AGAIN.conversation_id)


class FakeLeases:
    """Leases in a dict, which houses share; `away` is raised by every method while it is set."""

    def __init__(self):
        self.held, self.away, self.renewals, self.asked = {}, None, asyncio.Queue(), 0

    def _look(self):
        if self.away:
            raise self.away

    async def take(self, user_id, conversation_id, holder):
        self.asked += 1
        self._look()
        return self.held.setdefault((user_id, conversation_id), holder) == holder

    async def renew(self, holders):
        self.renewals.put_nowait(tuple(holders))
        self._look()

    async def release(self, user_id, conversation_id, holder):
        self._look()
        if self.held.get((user_id, conversation_id)) == holder:
            del self.held[user_id, conversation_id]


class Shared:
    """Two processes over one database."""

    def __init__(self, *models, **other):
        self.leases, self.conversations, self.gate = FakeLeases(), FakeConversations(), FakeGate()
        self.houses = [self._house(model, **other) for model in models]

    def _house(self, model, **other):
        house = TurnHouse(model, conversations=self.conversations, gate=self.gate, **other)
        return house.equip(Leases(self.leases))


async def away(*_):
    raise DatabaseAway("away")


def slowly(until):
    return (*begin(), ContentBegan(), TextPiece("a"), Pause(until), *say("b"))


async def test_two_turns_in_two_processes_are_one_and_a_conflict_that_costs_nothing():
    go_on = asyncio.Event()
    shared = Shared(ScriptedModel(slowly(go_on.wait)), ScriptedModel(say("c")))
    one, two = shared.houses
    async with one.listening(asking(turn_id="turn-1")) as first:
        await first.hear()
        _, second = await two.whole(asking())
        assert (second.outcome, second.failure.code) == (Outcome.REFUSED, Code.CONFLICT)
        assert (second.failure.retry_after_ms, shared.gate.asked, two.agent.model.prompts) == (1_000, 1, [])
        go_on.set()
        await hear_all(first)
    _, third = await two.whole(asking(turn_id="turn-3"))
    assert (third.outcome, kept(two)) == (Outcome.ANSWERED, ["turn-1", "turn-3"])
    assert contents(two.agent.model.prompts[0])[0] == ("user", "And then?")
    assert shared.leases.held == {}


ENDINGS = {
    "failed": ((*begin(), ContentBegan(), TextPiece("x"), UpstreamOverloaded("busy")), {}),
    "late": (slowly(asyncio.Event().wait), {"deadline": 0.05}),
}


@pytest.mark.parametrize("how", ENDINGS)
async def test_a_turn_that_ends_badly_lets_go(how):
    script, terms = ENDINGS[how]
    shared = Shared(ScriptedModel(script), **terms)
    _, record = await shared.houses[0].whole(asking())
    assert (record.outcome in {Outcome.FAILED, Outcome.TIMED_OUT}, shared.leases.held) == (True, {})
    assert shared.houses[0].turns.memory._present == {}


async def test_a_conversation_that_is_new_needs_none():
    shared = Shared(ScriptedModel(say("x")))
    await shared.houses[0].whole(asking(replace(AGAIN, continues=False)))
    assert shared.leases.asked == 0


async def test_leaving_while_it_is_taken_holds_nothing():
    taking, shared = asyncio.Event(), Shared(ScriptedModel())

    async def take(user_id, conversation_id, holder):
        shared.leases.held[user_id, conversation_id] = holder  # done, and nobody heard of it
        taking.set()
        await asyncio.Event().wait()

    shared.leases.take = take
    async with shared.houses[0].listening(asking()):
        await taking.wait()
    assert (shared.houses[0].records[0].outcome, shared.leases.held) == (Outcome.CLIENT_GONE, {})


async def test_with_the_database_away_the_rule_of_one_process_holds():
    go_on = asyncio.Event()
    shared = Shared(ScriptedModel(slowly(go_on.wait), say("c")))
    (house,) = shared.houses
    shared.leases.away = DatabaseError("away")
    async with house.listening(asking(turn_id="turn-1")) as first:
        await first.hear()
        _, second = await house.whole(asking())
        assert second.failure.code is Code.CONFLICT
        go_on.set()
        await hear_all(first)
    _, third = await house.whole(asking(turn_id="turn-3"))
    assert third.outcome is Outcome.ANSWERED


async def test_it_is_held_until_what_was_said_is_written(monkeypatch):
    monkeypatch.setattr(hold, "PATIENCE", 0.0)
    shared = Shared(ScriptedModel(say("first"), say("second")), ScriptedModel(say("other")))
    one, two = shared.houses
    one.turns._settlement._pauses = (0.001,)
    keep, shared.conversations.keep = shared.conversations.keep, None

    shared.conversations.keep = away
    await one.whole(asking(turn_id="turn-1"))
    _, refused = await two.whole(asking(turn_id="turn-2"))
    assert refused.failure.code is Code.CONFLICT
    _, again = await one.whole(asking(turn_id="turn-3"))
    assert (again.outcome, shared.leases.held) == (Outcome.ANSWERED, {PLACE: "turn-1"})
    shared.conversations.keep = keep
    await one.turns.stop()
    assert (sorted(kept(one)), shared.leases.held) == (["turn-1", "turn-3"], {})


@pytest.mark.parametrize("written", [True, False])
async def test_a_database_that_was_away_for_a_turn_leaves_no_lease_of_ours_in_the_way(monkeypatch, written):
    monkeypatch.setattr(hold, "PATIENCE", 0.0)
    shared = Shared(ScriptedModel(say("first"), say("third"), say("fourth")))
    (house,) = shared.houses
    house.turns._settlement._pauses = (0.001,)
    recall, keep = shared.conversations.recall, shared.conversations.keep

    release = shared.leases.release
    if written:
        shared.leases.release = away
    else:
        shared.conversations.keep = away
    await house.whole(asking(turn_id="turn-1"))
    shared.leases.release = release
    assert shared.leases.held == {PLACE: "turn-1"}
    shared.leases.away, shared.conversations.recall = DatabaseAway("away"), away
    _, meanwhile = await house.whole(asking(turn_id="turn-2"))
    assert (meanwhile.outcome is Outcome.ANSWERED) is not written  # all of it is known here, or none
    shared.leases.away, shared.conversations.recall, shared.conversations.keep = None, recall, keep
    _, third = await house.whole(asking(turn_id="turn-3"))
    await house.turns.stop()
    assert (third.outcome, shared.leases.held) == (Outcome.ANSWERED, {})


async def test_the_next_turn_waits_until_a_lease_is_freed():
    store, go_on = FakeLeases(), asyncio.Event()
    mine, release = Leases(store), store.release

    async def slowly_released(*what):
        await go_on.wait()
        await release(*what)

    store.release = slowly_released
    await mine.take(PLACE, "t1")
    freed = asyncio.create_task(mine.release(PLACE, "t1"))
    await asyncio.sleep(0)
    taken = asyncio.create_task(mine.take(PLACE, "t2"))
    await asyncio.sleep(0)
    assert not taken.done()
    go_on.set()
    await asyncio.gather(freed, taken)
    assert store.held == {PLACE: "t2"}


async def test_what_is_held_is_renewed_and_nothing_else(monkeypatch):
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.001)
    store = FakeLeases()
    mine = Leases(store)
    await mine.take(PLACE, "t1")
    await mine.take(("ann", "other"), "t2")
    store.away = DatabaseError("away")
    assert [await store.renewals.get() for _ in range(2)] == [("t1", "t2")] * 2
    store.away = None
    await mine.release(("ann", "other"), "t2")
    assert await store.renewals.get() == ("t1",)
    renewal = mine._renewal
    mine.drop(PLACE, "t1")
    await asyncio.wait((renewal,))
    assert (renewal.cancelled(), mine._renewal) == (True, None)


async def test_what_is_dropped_is_not_renewed_for_ever(monkeypatch):
    monkeypatch.setattr(hold, "PATIENCE", 0.0)
    shared = Shared(ScriptedModel(say("x")))
    (house,) = shared.houses

    async def never(*_):
        raise ValueError("a fault of ours")

    shared.conversations.keep = never
    await house.whole(asking())
    await house.turns.stop()
    assert house.turns.memory.leases._held == {}


async def test_anothers_conflict_holds_nothing():
    store = FakeLeases()
    store.held[PLACE] = "elsewhere"
    mine = Leases(store)
    with pytest.raises(Conflict):
        await mine.take(PLACE, "t1")
    assert (mine._held, mine._renewal, store.held) == ({}, None, {PLACE: "elsewhere"})
