"""The cache of the simulated API: what is read, what is written, for how long, and for whom."""

import msgspec
import pytest

from service.agent.upstream.abilities import MODELS
from service.simulator.cache import Cache, least
from service.simulator.error import ApiError
from service.simulator.messages import Question

MODEL = "claude-sonnet-5-5"
SYSTEM = "word " * 600
TOOL = {"name": "f", "input_schema": {"type": "object"}}
FOR_5M, FOR_1H = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cache(clock):
    return Cache(clock)


def text(words, mark=None):
    return {"type": "text", "text": words} | ({"cache_control": mark} if mark else {})


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def said(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def ask(*messages, **more):
    shared = (text(SYSTEM, FOR_5M),)
    body = {"model": MODEL, "max_tokens": 9, "messages": messages, "system": shared} | more
    return msgspec.convert(body, Question)


def told(tokens):
    return tokens.read, tokens.written, tokens.uncached


def test_what_is_marked_is_written_and_then_read(cache):
    first, second = cache.take(ask(user(text("one"))), "k"), cache.take(ask(user(text("two"))), "k")
    assert told(first) == (0, 750, 9)
    assert told(second) == (750, 0, 9)


def test_without_a_mark_nothing_is_kept(cache):
    plain = ask(user(text("one")), system=(text(SYSTEM),))
    assert [told(cache.take(plain, "k")) for _ in range(2)] == [(0, 0, 759)] * 2
    assert len(cache) == 0


@pytest.mark.parametrize("change", [
    {"model": "claude-opus-5-5"}, {"tools": [TOOL]}, {"system": (text("Word" + SYSTEM[4:], FOR_5M),)},
], ids=["model", "tools", "system"])  # fmt: skip
def test_another_prefix_is_not_read(cache, change):
    cache.take(ask(user(text("one"))), "k")
    assert cache.take(ask(user(text("one")), **change), "k").read == 0


def test_what_comes_after_the_prefix_is_free(cache):
    cache.take(ask(user(text("one"))), "k")
    assert cache.take(ask(user(text("two")), thinking={"type": "adaptive"}), "k").read == 750


def test_another_account_reads_nothing(cache):
    cache.take(ask(user(text("one"))), "k")
    assert cache.take(ask(user(text("one"))), "other").read == 0


def test_the_manner_of_thinking_is_part_of_the_messages(cache):
    question = user(text("x" * 4_000, FOR_5M))
    cache.take(ask(question), "k")
    assert cache.take(ask(question, thinking={"type": "adaptive"}), "k").read == 750
    assert cache.take(ask(question), "k").read > 1_500


@pytest.mark.parametrize(("mark", "seconds"), [(FOR_5M, 300), (FOR_1H, 3_600)], ids=["5m", "1h"])
def test_it_is_kept_for_so_long_after_it_was_read(cache, clock, mark, seconds):
    question = ask(user(text("one")), system=(text(SYSTEM, mark),))
    assert cache.take(question, "k").written_1h == (750 if mark is FOR_1H else 0)
    for _ in range(3):
        clock.now += seconds - 1
        assert told(cache.take(question, "k")) == (750, 0, 9)
    clock.now += seconds
    assert told(cache.take(question, "k")) == (0, 750, 9)


def test_a_later_turn_reads_up_to_where_the_one_before_wrote(cache):
    one, two = text("one " * 300), text("two " * 300)
    first = cache.take(ask(user(one | {"cache_control": FOR_5M})), "k")
    later = ask(user(one), said(text("yes")), user(two | {"cache_control": FOR_5M}))
    second = cache.take(later, "k")
    assert second.read == first.written
    assert second.written > 300
    assert second.uncached == 0


@pytest.mark.parametrize(("between", "found"), [(18, True), (19, False)])
def test_it_looks_back_over_twenty_blocks(cache, between, found):
    one = text("one " * 600)
    cache.take(ask(user(one | {"cache_control": FOR_5M}), system=()), "k")
    later = ask(user(one), said(*[text("yes")] * between), user(text("two", FOR_5M)), system=())
    assert (cache.take(later, "k").read > 0) is found


def test_a_mark_at_the_place_itself_is_found_however_far_it_is(cache):
    one = text("one " * 600, FOR_5M)
    cache.take(ask(user(one), system=()), "k")
    later = ask(user(one), said(*[text("yes")] * 40), user(text("two", FOR_5M)), system=())
    assert cache.take(later, "k").read > 0


@pytest.mark.parametrize("model", [*sorted(MODELS), "claude-haiku-4-5-20251001", "somebodys"])
def test_what_is_too_short_is_not_kept(cache, model):
    words = "x" * 4 * (least(model) - 1)
    for length, written in ((words, 0), (words + "x", least(model))):
        question = ask(user(text("one")), system=(text(length, FOR_5M),), model=model)
        assert cache.take(question, "k").written == written


def test_the_service_knows_the_same_lengths():
    assert {model: ability.cache_least for model, ability in MODELS.items()} == {
        model: least(model) for model in MODELS
    }


def test_an_hour_before_five_minutes(cache):
    both = ask(user(text("x" * 4_000, FOR_5M)), system=(text(SYSTEM, FOR_1H),))
    tokens = cache.take(both, "k")
    assert (tokens.written_1h, tokens.written - tokens.written_1h > 900) == (750, True)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (ask(*[user(text("x", FOR_5M)), said(text("y"))] * 4, user(text("x"))), "maximum of 4 blocks"),
        (ask(user(text("x", FOR_1H))), "must not come after"),
        (ask(user(text("x", {"type": "ephemeral", "ttl": "2h"})), system=()), "ttl"),
        (ask(user(text("x")), said({"type": "thinking", "thinking": "", "signature": "s",
             "cache_control": FOR_5M}), user(text("y"))), "cannot bear"),
    ],
    ids=["five", "order", "ttl", "thinking"],
)  # fmt: skip
def test_breakpoints_that_the_api_refuses(cache, question, said):
    with pytest.raises(ApiError, match=said):
        cache.take(question, "k")


def test_a_breakpoint_for_the_whole_request_stands_at_its_end(cache):
    question = ask(user(text("x" * 4_000)), system=(), cache_control=FOR_5M)
    assert cache.take(question, "k").written > 1_000
    assert cache.take(question, "k").read > 1_000


def test_it_does_not_grow_without_end(clock):
    small = Cache(clock, most=3)
    questions = [ask(user(text("one")), system=(text(f"{n}{SYSTEM}", FOR_5M),)) for n in range(5)]
    for question in questions:
        small.take(question, "k")
    assert len(small) == 3
    assert [small.take(question, "k").read > 0 for question in (questions[4], questions[0])] == [True, False]


def test_pictures_are_told_apart(cache):
    def seen(data):
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
        return ask(user(text("x" * 4_000), picture | {"cache_control": FOR_5M}), system=())

    cache.take(seen("AAAA"), "k")
    assert (cache.take(seen("BBBB"), "k").read, cache.take(seen("AAAA"), "k").read > 0) == (0, True)
