"""What a shared store's loss and return do to windows, by a clock that is told, and once by a real one."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from service.limits.demand import Demand, Kind, Part, Rule, Verdict
from service.limits.loss import SharedStore
from service.limits.memory import MemoryStore
from service.limits.redis import RedisStore
from tests.harness.redis import Redis
from tests.harness.waiting import PATIENCE
from tests.service.limits.remotes import Clock, FakeRemote, Server

WINDOW = 10.0
COUNT = Rule(name="role", kind=Kind.COUNT, limit=8, window_ms=10_000)
TOKENS = Rule(name="tokens", kind=Kind.QUANTITY, limit=98, window_ms=10_000)
TURNS = Rule(name="concurrency", kind=Kind.LEASE, limit=4, window_ms=60_000)


def demand(*rules: Rule, subject: str = "a", cost: int = 1, lease: str = "") -> Demand:
    parts = tuple(
        Part(rule=rule, subject=subject, cost=cost if rule.kind is Kind.QUANTITY else 1) for rule in rules
    )
    return Demand(tag=subject, parts=parts, lease=lease)


class House:
    """Processes that share one server; `heard` are the changes that the first one told."""

    def __init__(self, replicas: int = 2, on_loss: str = "share") -> None:
        self.clock = Clock()
        self.server = Server(self.clock)
        self.heard: list[tuple[bool, str]] = []
        self.remotes = [FakeRemote(self.server) for _ in range(replicas)]
        self.stores = [
            SharedStore(
                remote,
                replicas=replicas,
                on_loss=on_loss,
                told=(lambda *told: self.heard.append(told)) if remote is self.remotes[0] else None,
                memory=lambda: MemoryStore(self.clock),
                clock=self.clock,
            )
            for remote in self.remotes
        ]
        self.first, *self.others = self.stores

    async def joined(self) -> "House":
        """Let all processes trust the store."""
        await self.look()
        self.clock.elapse(3)
        await self.look()
        assert not any(store.degraded for store in self.stores)
        return self

    async def look(self) -> None:
        for store in self.stores:
            await store._look()

    async def lose(self) -> None:
        self.server.go()
        await self.look()
        assert all(store.degraded for store in self.stores)

    async def back(self, *, forgot: bool = False) -> None:
        if forgot:
            self.server.restart()
        self.server.come()
        await self.look()


async def admitted(store: SharedStore, asked: Demand, times: int) -> int:
    """How many of so many demands are admitted, each for a lease of its own."""
    verdicts = [await store.decide(replace(asked, lease=f"{asked.lease}{n}")) for n in range(times)]
    return sum(not verdict.denied for verdict in verdicts)


async def test_a_share_is_what_a_process_has_not_yet_admitted():
    house = await House().joined()
    assert await admitted(house.first, demand(COUNT), 3) == 3
    await house.lose()
    assert await admitted(house.first, demand(COUNT), 9) == 1
    assert await admitted(house.others[0], demand(COUNT), 9) == 4
    house.clock.elapse(WINDOW)
    assert await admitted(house.first, demand(COUNT), 9) == 4


async def test_a_share_is_one_at_least():
    house = await House(replicas=20).joined()
    await house.lose()
    assert await admitted(house.first, demand(COUNT), 3) == 1


async def test_who_decided_is_told_and_by_which_limit():
    house = await House().joined()
    shared = await house.first.decide(demand(COUNT, TOKENS))
    await house.lose()
    alone = await house.first.decide(demand(COUNT, TOKENS))
    assert (shared.store, [s.rule.limit for s in shared.standings]) == ("redis", [8, 98])
    assert (alone.store, [s.rule.limit for s in alone.standings]) == ("local", [4, 49])
    assert [s.rule.name for s in alone.standings] == ["role", "tokens"]


async def test_a_share_of_tokens_begins_empty_and_leases_that_are_held_count():
    house = await House().joined()
    assert await admitted(house.first, demand(TOKENS, TURNS, cost=4), 9) == 4
    await house.lose()
    assert await admitted(house.first, demand(TOKENS, cost=4), 9) == 2
    assert await admitted(house.first, demand(TURNS, lease="new"), 9) == 0
    assert await admitted(house.others[0], demand(TURNS, lease="new"), 9) == 2


async def test_what_a_share_cannot_give_at_once_is_not_out_of_reach():
    house = await House().joined()
    await house.lose()
    waits = [(await house.first.decide(demand(TOKENS, cost=cost))).denied.wait_ms for cost in (12, 20)]
    assert waits == [1_000, None]


async def test_no_call_waits_for_a_store_that_is_away():
    house = await House().joined()
    await house.lose()
    calls = house.server.calls
    await admitted(house.first, demand(COUNT, TURNS), 50)
    await house.first.peek(demand(COUNT))
    assert house.server.calls == calls


async def test_a_refused_connection_is_a_loss_and_the_decision_is_made_alone():
    house = await House().joined()
    house.server.go()
    assert (await house.first.decide(demand(COUNT))).store == "local"
    assert house.first.degraded
    assert (house.heard, house.first.switches) == ([(True, "refused")], 1)


async def test_three_slow_calls_in_a_row_are_a_loss_two_are_none():
    house = await House().joined()
    for _ in range(2):
        for _ in range(2):
            house.server.go(slow=True)
            assert (await house.first.decide(demand(COUNT))).store == "local"
        house.server.come()
        assert (await house.first.decide(demand(COUNT, subject="b"))).store == "redis"
    house.server.go(slow=True)
    for degraded in (False, False, True):
        await house.first.decide(demand(COUNT))
        assert house.first.degraded is degraded


async def test_what_was_admitted_alone_over_a_slow_call_is_told_at_the_next_look():
    house = await House().joined()
    house.server.go(slow=True)
    await house.first.decide(demand(COUNT))
    house.server.come()
    await house.first._look()
    assert (await house.others[0].peek(demand(COUNT))).standings[0].remaining == 7


async def test_a_store_that_kept_its_memory_is_told_what_it_missed_and_is_back_at_once():
    house = await House().joined()
    await admitted(house.first, demand(COUNT), 2)
    await house.lose()
    assert await admitted(house.first, demand(COUNT), 9) == 2
    assert await admitted(house.others[0], demand(COUNT), 9) == 4
    house.clock.elapse(1)
    await house.back()
    assert not any(store.degraded for store in house.stores)
    assert [len(piece.ages) for told in house.remotes[0].told for piece in told] == [2]
    assert (await house.first.peek(demand(COUNT))).standings[0].remaining == 0
    assert [each for each, _ in house.heard] == [True, False]
    house.clock.elapse(WINDOW - 1)
    assert await admitted(house.first, demand(COUNT), 9) == 8


async def test_a_store_that_forgot_is_told_all_and_trusted_when_it_is_three_seconds_old():
    house = await House().joined()
    await admitted(house.first, demand(COUNT), 3)
    await admitted(house.others[0], demand(COUNT), 2)
    await house.lose()
    await house.back(forgot=True)
    assert all(store.degraded for store in house.stores)
    assert await admitted(house.first, demand(COUNT), 9) == 1
    house.clock.elapse(2.9)
    await house.look()
    assert house.first.degraded
    house.clock.elapse(0.1)
    await house.look()
    assert not house.first.degraded
    assert (await house.first.peek(demand(COUNT))).standings[0].remaining == 2


async def test_one_process_waits_for_nobody():
    house = House(replicas=1)
    await house.look()
    assert not house.first.degraded
    await admitted(house.first, demand(COUNT), 3)
    await house.lose()
    assert await admitted(house.first, demand(COUNT), 9) == 5
    await house.back(forgot=True)
    assert (await house.first.decide(demand(COUNT))).denied
    assert not house.first.degraded


async def test_a_memory_that_is_lost_under_way_is_never_decided_on():
    house = await House().joined()
    await admitted(house.first, demand(COUNT), 8)
    house.server.restart()
    assert (await house.first.decide(demand(COUNT))).denied
    assert house.first.degraded


async def test_strict_admits_nothing_for_a_window_then_the_share():
    house = await House(on_loss="strict").joined()
    await admitted(house.first, demand(COUNT), 1)
    house.clock.elapse(4)
    await house.lose()
    refused = (await house.first.decide(demand(COUNT, TURNS))).denied
    assert (refused.rule.name, refused.wait_ms, refused.reset_ms) == ("role", 10_000, 10_000)
    house.clock.elapse(WINDOW - 0.001)
    assert await admitted(house.first, demand(COUNT), 9) == 0
    house.clock.elapse(0.001)
    assert await admitted(house.first, demand(COUNT), 9) == 4


async def test_strict_admits_nothing_that_the_store_was_not_heard_about():
    house = await House(on_loss="strict").joined()
    house.server.go(slow=True)
    for degraded in (False, False, True):
        assert (await house.first.decide(demand(COUNT))).denied
        assert house.first.degraded is degraded


async def test_strict_waits_for_the_others_before_it_trusts_a_store_again():
    house = await House(on_loss="strict").joined()
    await house.lose()
    house.clock.elapse(WINDOW)
    assert await admitted(house.first, demand(COUNT), 1) == 1
    await house.back()
    assert await admitted(house.first, demand(COUNT), 1) == 0
    house.clock.elapse(3)
    assert await admitted(house.first, demand(COUNT), 1) == 0
    await house.look()
    assert await admitted(house.first, demand(COUNT), 9) == 7


async def test_strict_admits_nothing_for_a_window_of_a_memory_that_is_new():
    house = await House(on_loss="strict").joined()
    await house.lose()
    house.clock.elapse(WINDOW + 1)
    await house.back(forgot=True)
    house.clock.elapse(3)
    await house.look()
    assert not house.first.degraded
    refused = (await house.first.decide(demand(COUNT))).denied
    assert refused.wait_ms == 7_000
    house.clock.elapse(7)
    assert await admitted(house.first, demand(COUNT), 9) == 8


async def test_leases_are_given_back_wherever_they_are():
    house = await House().joined()
    here = demand(TURNS, lease="shared")
    shared = await house.first.decide(here)
    await house.lose()
    there = demand(TURNS, lease="alone")
    alone = await house.first.decide(there)
    await house.first.settle(here, shared, 0)
    await house.back()
    assert (await house.first.peek(demand(TURNS))).standings[0].remaining == 3
    await house.first.settle(there, alone, 0)
    assert (await house.first.peek(demand(TURNS))).standings[0].remaining == 4


async def test_who_leaves_while_the_store_decides_holds_nothing():
    house = await House().joined()
    waiting = house.remotes[0].answers_late()
    leaving = [asyncio.create_task(house.first.decide(demand(TURNS, lease=f"{n}"))) for n in range(4)]
    for _ in leaving:
        await waiting.asked.get()
    assert await admitted(house.others[0], demand(TURNS, lease="other"), 1) == 0
    for task in leaving:
        task.cancel()
    await asyncio.wait(leaving)
    assert all(task.cancelled() for task in leaving)
    waiting.over.set()
    await house.first.close()
    assert await admitted(house.others[0], demand(TURNS, lease="other"), 9) == 4


async def test_who_leaves_while_a_store_goes_away_holds_nothing_either():
    house = await House().joined()
    waiting = house.remotes[0].answers_late()
    leaving = asyncio.create_task(house.first.decide(demand(TURNS, lease="left")))
    await waiting.asked.get()
    leaving.cancel()
    house.server.go()
    waiting.over.set()
    await asyncio.wait((leaving,))
    await house.first.close()
    assert await admitted(house.first, demand(TURNS, lease="new"), 9) == 2


async def test_what_is_told_of_tokens_is_what_was_spent():
    house = await House().joined()
    asked = demand(TOKENS, cost=16)
    shared = await house.first.decide(asked)
    await house.first.settle(asked, shared, 2)
    await house.lose()
    alone = await house.first.decide(demand(TOKENS, cost=8))
    await house.first.settle(demand(TOKENS, cost=8), alone, 1)
    await house.back(forgot=True)
    assert (await house.server.memory.peek(asked)).standings[0].remaining == 19 - 3


async def test_what_could_not_be_told_is_told_whole_the_next_time():
    house = await House().joined()
    await admitted(house.first, demand(COUNT), 1)
    await house.lose()
    await admitted(house.first, demand(COUNT), 1)
    house.remotes[0].refuses_pieces = True
    await house.back()
    assert house.first.degraded
    house.remotes[0].refuses_pieces = False
    await house.first._look()
    assert not house.first.degraded
    assert [len(piece.ages) for told in house.remotes[0].told for piece in told] == [2]


async def test_a_reset_frees_a_subject_here_and_there():
    house = await House().joined()
    await admitted(house.first, demand(COUNT, TOKENS), 8)
    await house.first.reset(demand(COUNT, TOKENS))
    assert await admitted(house.others[0], demand(COUNT), 9) == 8
    await house.first.reset(demand(COUNT, TOKENS))
    await house.lose()
    assert await admitted(house.first, demand(COUNT, TOKENS), 9) == 4


async def test_what_does_not_count_any_more_is_forgotten_here_too():
    house = await House().joined()
    for number in range(400):
        asked = demand(COUNT, TOKENS, TURNS, subject=str(number), lease=str(number))
        await house.first.settle(asked, await house.first.decide(asked), 1)
        house.clock.elapse(1)
    own = house.first._own
    assert len(own._live) < 3 * 2 * 60
    assert not own._tickets


def most_in_any_window(events: list[tuple[int, int]], window: float) -> int:
    """The most in any half-open span; one that is the worst begins at an admission."""
    span = round(window * 1e9)
    return max((sum(n for at, n in events if start <= at < start + span) for start, _ in events), default=0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["kill", "silence", "restart", "come", "flush", "none", "none", "none", "none"]),
        st.sampled_from([0.0, 0.25, 1.0, 3.5, 5.0, WINDOW - 0.001, WINDOW]),
        st.integers(0, 12),
        st.integers(0, 7),
    ),
    min_size=4,
    max_size=40,
)
ALL = [("none", 0.0, 12, who) for who in range(4)]


@pytest.mark.parametrize("on_loss", ["share", "strict"])
@given(steps=STEPS)
@example(steps=[("none", 0.0, 12, 0), ("flush", 5.0, 0, 0), ("none", 0.0, 12, 1)])
@example(steps=[("none", 0.0, 12, 0), ("kill", 1.0, 0, 0), ("restart", 5.0, 0, 0), *ALL])
@example(steps=[("kill", WINDOW, 0, 0), *ALL[:3], ("come", 0.25, 0, 0), *ALL, ("none", 1.0, 0, 0), *ALL])
@example(steps=[("kill", WINDOW, 0, 0), ("come", 0.5, 0, 0), *ALL, ("none", 3.5, 0, 0), *ALL])
@settings(max_examples=150)
def test_no_window_holds_twice_the_limit_whatever_becomes_of_the_store(on_loss, steps):
    counts, tokens = asyncio.run(_lived(on_loss, steps))
    worst = {"share": 2, "strict": 1}[on_loss]
    assert most_in_any_window(counts, WINDOW) <= worst * COUNT.limit - (worst - 1)
    assert most_in_any_window(tokens, WINDOW) <= worst * TOKENS.limit


async def _lived(on_loss, steps):
    house = await House(replicas=4, on_loss=on_loss).joined()
    counts, tokens = [], []
    for event, pause, burst, who in steps:
        _happen(house.server, event)
        if on_loss == "strict" and event in {"kill", "silence"}:
            # it promises the limit where all see the loss
            await house.look()
        for _ in range(burst):
            store = house.stores[who % 4]
            if not (await store.decide(demand(COUNT))).denied:
                counts.append((house.clock.now, 1))
            if not (await store.decide(demand(TOKENS, cost=4))).denied:
                tokens.append((house.clock.now, 4))
        await _let_time_go_by(house, pause)
    return counts, tokens


async def _let_time_go_by(house: House, seconds: float) -> None:
    """Each process looks once a second, at a moment of its own."""
    for _ in range(int(seconds * 4)):
        house.clock.elapse(0.25)
        for number, store in enumerate(house.stores):
            if house.clock.now // 250_000_000 % 4 == number:
                await store._look()
    house.clock.elapse(seconds - int(seconds * 4) / 4)


def _happen(server: Server, event: str) -> None:
    if event in {"kill", "silence"}:
        server.go(slow=event == "silence")
    if event in {"flush", "restart"}:
        server.restart()
    if event in {"come", "restart"}:
        server.come()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


async def decided_by(store: SharedStore) -> str:
    verdict: Verdict = await store.decide(demand(COUNT))
    return verdict.store


async def test_a_real_server_is_lost_and_found_without_anybody_asking():
    with Redis() as server:
        heard: list[bool] = []
        store = SharedStore(RedisStore(server.url()), replicas=2, told=lambda away, _: heard.append(away))
        await store.start()
        await until(lambda: not store.degraded)
        server.stop()
        await until(lambda: store.degraded)
        assert await decided_by(store) == "local"
        server.start()
        await until(lambda: not store.degraded)
        assert (await store.peek(demand(COUNT))).standings[0].remaining == 7
        # its memory was young at the start, and again when it came back
        assert heard == [True, False] * 2
        await store.close()
