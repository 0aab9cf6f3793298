"""What the cache of the model's API spares, in the records of turns over the real SDK."""

from contextlib import asynccontextmanager

import pytest
from msgspec import structs

from service.agent.upstream.anthropic import AnthropicModel
from service.simulator import build
from tests.harness.agent import QUESTION, FakeAsk, TurnHouse
from tests.upstream import serve

LONG = "A long question, word by word. " * 100


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@asynccontextmanager
async def housed(clock, cache):
    with serve(build(clock)) as url:
        model = AnthropicModel("k", url, cache=cache)
        yield TurnHouse(model)
        await model.aclose()


async def turn(house, number):
    question = structs.replace(
        QUESTION, message=LONG if number == 1 else "And then?", max_tokens=200, continues=number > 1
    )
    _, record = await house.whole(FakeAsk(question, turn_id=f"turn-{number}"))
    return record


@pytest.mark.parametrize(("cache", "seconds"), [("5m", 300), ("1h", 3_600)])
async def test_in_time_the_next_turn_reads_and_too_late_it_writes_again(cache, seconds):
    clock = Clock()
    async with housed(clock, cache) as house:
        first = await turn(house, 1)
        clock.now += seconds - 1
        second = await turn(house, 2)
        clock.now += seconds
        third = await turn(house, 3)
    assert second.usage.cache_read_tokens == first.usage.cache_write_tokens > 512
    assert first.saved_micros < 0 < second.saved_micros
    assert third.usage.cache_read_tokens == 0
    assert third.usage.cache_write_tokens == third.usage.input_tokens
    assert third.saved_micros < 0
    assert all(each.cost_micros + each.saved_micros > 0 for each in (first, second, third))


@pytest.mark.parametrize(("cache", "factor"), [("5m", 0.25), ("1h", 1.0)])
async def test_writing_costs_a_quarter_more_or_twice_as_much(cache, factor):
    async with housed(Clock(), cache) as house:
        record = await turn(house, 1)
    written = record.usage.cache_write_tokens
    assert record.saved_micros == pytest.approx(-written * 2 * factor, abs=1)
    assert record.usage.cache_write_1h_tokens == (written if cache == "1h" else 0)


async def test_off_it_neither_costs_nor_spares():
    async with housed(Clock(), "off") as house:
        records = [await turn(house, number) for number in (1, 2)]
    assert [each.saved_micros for each in records] == [0, 0]
    assert [each.usage.cache_read_tokens + each.usage.cache_write_tokens for each in records] == [0, 0]
