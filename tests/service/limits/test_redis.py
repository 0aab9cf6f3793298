"""The store in Redis, against a real server: its arithmetic, its keys, and every way that it can be away."""

import asyncio
import random
import re
import socket
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

import service.limits
from service.limits.demand import Demand, Kind, Part, Rule, Verdict
from service.limits.memory import MemoryStore
from service.limits.redis import RedisStore
from service.limits.remote import StoreSlow
from service.limits.store import StoreAway
from tests.harness.redis import PASSWORD, Redis

COUNT = Rule(name="role", kind=Kind.COUNT, limit=5, window_ms=60_000)
TOKENS = Rule(name="tokens", kind=Kind.QUANTITY, limit=24, window_ms=60_000)
TURNS = Rule(name="concurrency", kind=Kind.LEASE, limit=3, window_ms=60_000)
# a token is worth 10 ms to the microsecond
SHORT = (replace(COUNT, window_ms=400), replace(TOKENS, window_ms=210), replace(TURNS, window_ms=300))
NUMBERS = count()


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
async def store(server: Redis) -> AsyncIterator[RedisStore]:
    # patient, as the machine may be busy: what is tested here is not how long it takes
    store = RedisStore(server.url(), patience=5)
    yield store
    await store.close()


@pytest.fixture
async def own(own_server: Redis) -> AsyncIterator[RedisStore]:
    store = RedisStore(own_server.url(), patience=0.5)
    yield store
    await store.close()


def demand(*rules: Rule, subject: str | None = None, cost: int = 1, lease: str = "l") -> Demand:
    subject = subject or f"subject-{next(NUMBERS)}"
    parts = tuple(
        Part(rule=rule, subject=subject, cost=cost if rule.kind is Kind.QUANTITY else 1) for rule in rules
    )
    return Demand(tag=subject, parts=parts, lease=lease)


def used(verdict: Verdict) -> list[int]:
    return [standing.rule.limit - standing.remaining for standing in verdict.standings]


class Heard(RedisStore):
    """It keeps the moment of the last call, by Redis's clock in nanoseconds."""

    moment = 0

    async def _run(self, *given):
        answer = await super()._run(*given)
        self.moment = answer[1] * 1_000
        return answer


class Twins:
    """A store in Redis, and one in memory whose clock stands at the moment at which Redis did the same."""

    def __init__(self, server: Redis) -> None:
        self.redis = Heard(server.url(), patience=5)
        self.memory = MemoryStore(lambda: self.redis.moment)
        self.held: list[tuple[Demand, Verdict, Verdict]] = []

    async def decide(self, asked: Demand) -> bool:
        ours, theirs = await self.redis.decide(asked), await self.memory.decide(asked)
        assert ours.standings == theirs.standings
        if not ours.denied:
            self.held.append((asked, ours, theirs))
        return not ours.denied

    async def settle(self, place: int, share: float) -> None:
        asked, ours, theirs = self.held.pop(place)
        spent = round(share * max(part.cost for part in asked.parts))
        await self.redis.settle(asked, ours, spent)
        await self.memory.settle(asked, theirs, spent)


async def test_what_was_spent_beyond_the_cost_is_charged(store: RedisStore):
    asked = demand(replace(TOKENS, window_ms=21_000), cost=2)
    await store.settle(asked, await store.decide(asked), 4)
    assert used(await store.peek(asked)) == [24]
    late = demand(SHORT[1])
    verdict = await store.decide(late)
    await asyncio.sleep(0.05)
    await store.settle(late, verdict, 200)
    refused = (await store.peek(late)).denied
    assert refused
    assert refused.wait_ms > 1_500


async def test_it_decides_as_the_store_in_memory_does_at_the_same_moments(server: Redis):
    rng, twins, admitted = random.Random(7), Twins(server), 0  # noqa: S311 - a schedule, no secret
    for number in range(1_500):
        asked = demand(*SHORT, subject="same", cost=rng.randint(1, 4), lease=f"l{number}")
        admitted += await twins.decide(
            replace(asked, parts=tuple(rng.sample(asked.parts, rng.randint(1, 3))))
        )
        if len(twins.held) > rng.randint(0, 4):
            await twins.settle(rng.randrange(len(twins.held)), rng.choice((0, 0.3, 0.5, 1, 1)))
        if rng.random() < 0.1:
            await asyncio.sleep(rng.choice((0.001, 0.02, 0.15)))
    assert 300 < admitted < 1_400
    await twins.redis.close()


async def test_no_window_of_its_own_clock_holds_more_than_the_limit(server: Redis):
    stores = [RedisStore(server.url(), patience=5) for _ in range(3)]
    rule = Rule(name="role", kind=Kind.COUNT, limit=20, window_ms=100)
    asked, times = demand(rule), []

    async def press(store: RedisStore) -> None:
        for _ in range(1_000):
            verdict = await store.decide(asked)
            if not verdict.denied:
                times.append(verdict.at)

    await asyncio.gather(*(press(store) for store in stores for _ in range(2)))
    times.sort()
    spans = [later - earlier for earlier, later in zip(times, times[20:], strict=False)]
    assert len(times) > 40
    assert min(spans) >= 100_000
    for store in stores:
        await store.close()


async def test_a_refused_demand_changes_nothing_of_any_part(own_server: Redis, own: RedisStore):
    full = demand(COUNT)
    for _ in range(COUNT.limit):
        await own.decide(full)
    before = _content(own_server)
    others = Part(rule=TOKENS, subject="other"), Part(rule=TURNS, subject="other")
    assert (await own.decide(replace(full, parts=(others[0], *full.parts, others[1])))).denied
    assert _content(own_server) == before


async def test_more_than_is_ever_admitted_has_no_wait_and_charges_nobody(store: RedisStore):
    asked = demand(COUNT, TOKENS, cost=5)
    verdict = await store.decide(asked)
    assert verdict.denied
    assert verdict.denied.wait_ms is None
    assert used(await store.peek(demand(COUNT, subject=asked.tag))) == [0]


async def test_every_key_leaves_by_itself(own_server: Redis, own: RedisStore):
    for number in range(20):
        await own.decide(demand(*SHORT, subject=f"s{number % 4}", lease=f"l{number}"))
    assert int(own_server.say("DBSIZE")) > 4
    await asyncio.sleep(0.5)
    assert sorted(own_server.say("KEYS", "*").split()) == ["parley:{epoch}", "parley:{epoch}:beat"]


async def test_odd_names_are_names_of_their_own(store: RedisStore):
    names = [
        "a",
        "a}",
        "{a}",
        "a:b",
        "a:",
        "",
        " ",
        "a\x00b",
        "é",
        "e\u0301",
        "\ud800",
        "\ud801",
        "x" * 9_999,
        "x" * 9_998,
    ]
    rule = replace(COUNT, name="odd")
    for name in names:
        for tag in ("t", "t:"):
            asked = Demand(tag=tag, parts=(Part(rule=rule, subject=name),))
            assert used(await store.decide(asked)) == [1], name[:9]


async def test_leases_of_one_name_are_one_and_others_end_with_their_window(store: RedisStore):
    asked = demand(SHORT[2])
    for _ in range(4):
        assert used(await store.decide(asked)) == [1]
    for lease in "mn":
        await store.decide(replace(asked, lease=lease))
    refused = (await store.decide(replace(asked, lease="o"))).denied
    assert refused
    assert 0 < refused.wait_ms <= 300
    await asyncio.sleep(refused.wait_ms / 1_000)
    assert not (await store.decide(replace(asked, lease="o"))).denied


async def test_a_demand_is_forgotten_on_request(store: RedisStore):
    asked = demand(COUNT, TOKENS, TURNS)
    await store.decide(asked)
    await store.reset(asked)
    assert used(await store.peek(asked))[::2] == [0, 0]


async def test_scripts_are_sent_again_where_they_were_flushed(own_server: Redis, own: RedisStore):
    asked = demand(COUNT)
    await own.decide(asked)
    own_server.say("SCRIPT", "FLUSH")
    assert used(await own.decide(asked)) == [2]


async def test_a_line_that_was_cut_is_made_anew(own_server: Redis, own: RedisStore):
    asked = demand(COUNT)
    await asyncio.gather(*(own.decide(asked) for _ in range(4)))
    own_server.say("CLIENT", "KILL", "TYPE", "normal")
    assert used(await own.peek(asked)) == [4]


async def test_callers_share_a_few_lines(own_server: Redis):
    own = RedisStore(own_server.url(), patience=5, most_lines=3)
    verdicts = await asyncio.gather(*(own.decide(demand(COUNT)) for _ in range(200)))
    assert not any(verdict.denied for verdict in verdicts)
    clients = own_server.say("CLIENT", "LIST", "TYPE", "normal").splitlines()
    assert len([line for line in clients if "cmd=client" not in line]) <= 3
    await own.close()


async def test_out_of_memory_is_away_and_nothing_is_written(own_server: Redis, own: RedisStore):
    asked = demand(COUNT, TOKENS, TURNS)
    await own.decide(asked)
    before = _content(own_server)
    own_server.say("CONFIG", "SET", "maxmemory", 1)
    for _ in range(3):
        with pytest.raises(StoreAway, match="OutOfMemory"):
            await own.decide(replace(asked, lease="m"))
    with pytest.raises(StoreAway):
        await own.meet()
    assert _content(own_server) == before
    own_server.say("CONFIG", "SET", "maxmemory", 0)
    assert used(await own.decide(asked))[0] == 2


def _content(server: Redis) -> dict[str, str]:
    names = (name for name in server.say("KEYS", "*").split() if "epoch" not in name)
    return {name: server.say("DUMP", name) for name in names}


async def test_a_frozen_store_is_slow_and_does_not_do_later_what_nobody_waits_for(
    own_server: Redis, own: RedisStore
):
    asked = demand(COUNT)
    await own.decide(asked)
    own_server.freeze()
    try:
        for _ in range(3):
            with pytest.raises(StoreSlow):
                await own.decide(asked)
    finally:
        await asyncio.sleep(0.1)
        own_server.thaw()
    await asyncio.sleep(0.5)
    assert used(await own.peek(asked)) == [1]


async def test_a_flushed_store_is_away_until_its_new_memory_is_trusted(own_server: Redis, own: RedisStore):
    asked = demand(COUNT)
    await own.decide(asked)
    first = await own.meet()
    own_server.say("FLUSHALL")
    for _ in range(2):
        with pytest.raises(StoreAway, match="another"):
            await own.decide(asked)
    second = await own.meet()
    assert second.epoch != first.epoch
    assert second.age_us < first.age_us + 10_000_000
    with pytest.raises(StoreAway, match="another"):
        await own.decide(asked)
    own.trust(second.epoch)
    assert used(await own.decide(asked)) == [1]


async def test_a_store_that_read_an_old_copy_is_another(own_server: Redis, own: RedisStore):
    asked = demand(COUNT)
    await own.decide(asked)
    first = await own.meet()
    own_server.say("SAVE")
    await own.decide(asked)
    own_server.stop()
    with pytest.raises(StoreAway):
        await own.decide(asked)
    own_server.start()
    with pytest.raises(StoreAway, match="another"):
        await own.decide(asked)
    assert (await own.meet()).epoch != first.epoch
    own.trust((await own.meet()).epoch)
    assert used(await own.peek(asked)) == [1]


async def test_a_copy_that_others_write_to_is_away(own_server: Redis, own: RedisStore):
    asked = demand(COUNT)
    await own.decide(asked)
    own_server.say("REPLICAOF", "127.0.0.1", 1)
    with pytest.raises(StoreAway):
        await own.decide(asked)
    with pytest.raises(StoreAway):
        await own.meet()


async def test_a_memory_that_may_drop_counts_says_so(own_server: Redis, own: RedisStore):
    assert not (await own.meet()).forgetful
    own_server.say("CONFIG", "SET", "maxmemory", "100mb")
    assert not (await own.meet()).forgetful
    own_server.say("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    assert (await own.meet()).forgetful


@pytest.mark.parametrize("password", ["wrong", ""])
async def test_wrong_credentials_are_away_and_are_not_told(server: Redis, password: str):
    store = RedisStore(server.url().replace(PASSWORD, password), patience=5)
    with pytest.raises(StoreAway) as told:
        await store.decide(demand(COUNT))
    assert PASSWORD not in str(told.value)
    assert str(server.port) not in str(told.value)


async def test_nobody_at_the_port_is_away():
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        store = RedisStore(f"redis://127.0.0.1:{unheard.getsockname()[1]}/0", patience=5)
        with pytest.raises(StoreAway):
            await store.decide(demand(COUNT))


async def test_somebody_else_at_the_port_is_away():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        store = RedisStore(f"redis://127.0.0.1:{other.sockets[0].getsockname()[1]}/0", patience=5)
        with pytest.raises(StoreAway):
            await store.decide(demand(COUNT))


async def test_what_was_admitted_elsewhere_counts_by_its_age(own_server: Redis, own: RedisStore):
    now = [10**15]
    elsewhere = MemoryStore(lambda: now[0])
    asked = demand(COUNT, TOKENS, TURNS)
    verdict = elsewhere.record(asked)
    now[0] += 20_000_000_000
    elsewhere.record(replace(asked, lease="m"))
    await own.decide(replace(asked, lease="n"))
    await own.merge(list(elsewhere.recent()))
    after = await own.peek(asked)
    count, tokens, turns = after.standings
    assert (count.remaining, turns.remaining) == (2, 0)
    # the oldest is 20 s old; 40 s are left of it, and of the lease
    assert 38_000 < count.reset_ms <= 40_000
    assert 38_000 < turns.reset_ms <= 40_000
    assert tokens.remaining < 4
    await elsewhere.settle(asked, verdict, 0)
    await own.settle(asked, await own.peek(demand(COUNT)), 1)
    assert (await own.peek(asked)).standings[2].remaining == 1
    assert all(own_server.say("TTL", name) != "-1" for name in _content(own_server))


async def test_a_clock_that_was_set_back_neither_frees_nor_blocks_for_longer_than_two_windows(
    own_server: Redis, own: RedisStore
):
    asked = demand(*(replace(rule, window_ms=2_000) for rule in (COUNT, TOKENS, TURNS)))
    for number in range(3):
        await own.decide(replace(asked, lease=f"l{number}"))
    for name in _content(own_server):
        own_server.say("EVAL", AN_HOUR_AHEAD, 1, name)
    after = (await own.decide(replace(asked, lease="new"))).standings
    assert [standing.remaining for standing in after] == [2, 0, 0]
    assert max(standing.wait_ms for standing in after) <= 4_000
    await asyncio.sleep(4.1)
    verdict = await own.decide(asked)
    assert not verdict.denied
    assert [standing.remaining for standing in verdict.standings][::2] == [4, 2]


@pytest.mark.parametrize("name", ["redis", "wire", "remote", "loss", "own", "reunion", "memory", "state"])
def test_no_wall_clock_of_the_host_is_read(name):
    text = Path(service.limits.__file__).with_name(f"{name}.py").read_text()
    assert not re.findall(r"time\.time\b|time_ns\(\)(?<!monotonic_ns\(\))|datetime|perf_counter", text)


AN_HOUR_AHEAD = """
local key, hour = KEYS[1], 3600 * 1000000
local function ahead(number) return string.format('%.0f', tonumber(number) + hour) end
local kind = redis.call('TYPE', key).ok
if kind == 'list' then
  for i, at in ipairs(redis.call('LRANGE', key, 0, -1)) do redis.call('LSET', key, i - 1, ahead(at)) end
elseif kind == 'zset' then
  for _, lease in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZINCRBY', key, hour, lease) end
else
  local moments = string.gsub(redis.call('GET', key), '%d%d%d%d%d%d%d%d%d%d+', ahead)
  redis.call('SET', key, moments)
end
redis.call('PERSIST', key)
"""
"""What a key is that was written before the clock was set back by an hour."""
