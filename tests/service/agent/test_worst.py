"""The worst case of a turn is never passed by what a turn can really cost."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from service.agent import worst
from service.agent.cost import Prices
from service.agent.model import Measured, Prompt
from telemetry.record import Usage

PRICES = Prices.load()
MODELS = ("claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-5-5", "a-model-nobody-knows")


def prompt(text="hello", model=MODELS[0], max_tokens=100) -> Prompt:
    return Prompt(
        model=model,
        system="be brief",
        messages=({"role": "user", "content": text},),
        tools=({"name": "calculate"},),
        max_tokens=max_tokens,
    )


@given(st.text(), st.sampled_from(MODELS), st.integers(1, 5_000))
def test_a_token_is_no_less_than_a_byte(text, model, max_tokens):
    asked = prompt(text, model, max_tokens)
    given_tokens = worst.input_tokens(asked)
    assert given_tokens >= worst.FRAME_TOKENS + len(text.encode("utf-8", "surrogatepass"))
    need = worst.of_call(asked, PRICES)
    assert need.tokens == given_tokens + max_tokens
    real = Usage(input_tokens=given_tokens, output_tokens=max_tokens)
    for usage in (
        real,
        Usage(input_tokens=given_tokens, output_tokens=max_tokens, cache_write_tokens=given_tokens),
    ):
        assert PRICES.price(model, usage).cost_micros <= need.cost_micros == need.least_micros


def test_half_a_surrogate_pair_has_a_size():
    assert worst.input_tokens(prompt("\ud800")) == worst.input_tokens(prompt("abc"))


@given(st.integers(1, 100), st.lists(st.tuples(st.integers(0, 100), st.integers(0, 1_024)), max_size=8))
def test_all_rounds_together_cost_no_more_than_the_turns_worst(max_tokens, rounds):
    """Each round gives back what the model said and what its tools did."""
    asked = prompt(max_tokens=max_tokens)
    first, cost, grown = worst.input_tokens(asked), 0, 0
    for wanted, result in [*rounds, (max_tokens, 0)]:
        said = min(wanted, max_tokens)
        usage = Usage(input_tokens=first + grown, output_tokens=said)
        cost += PRICES.price(asked.model, usage).cost_micros
        grown += said + result
    assert cost <= worst.of_turn(asked, PRICES, len(rounds)).cost_micros


def test_a_turns_least_is_its_first_call():
    need = worst.of_turn(prompt(), PRICES, 8)
    assert need.least_micros == worst.of_call(prompt(), PRICES).cost_micros
    assert need.tokens == worst.of_call(prompt(), PRICES).tokens
    assert need.cost_micros > 9 * need.least_micros
    assert worst.of_turn(prompt(), PRICES, 0).cost_micros == need.least_micros


def test_models_that_stand_in_are_covered_after_those_that_were_asked_in_vain():
    alone = worst.of_turn(prompt(), PRICES, 8)
    dear = worst.of_turn(prompt(), PRICES, 8, ("claude-opus-5-5",))
    only = worst.of_turn(structs.replace(prompt(), model="claude-opus-5-5"), PRICES, 8)
    assert dear.cost_micros > only.cost_micros > alone.cost_micros
    assert (dear.least_micros, dear.tokens, dear.model) == (alone.least_micros, alone.tokens, alone.model)
    cheap = worst.of_turn(prompt(), PRICES, 8, ("claude-haiku-5-5",))
    assert cheap.cost_micros == alone.cost_micros


def measured(asked, tokens, model=MODELS[0]):
    counted = Measured(model=model, messages=len(asked.messages), tokens=tokens)
    return structs.replace(asked, measured=counted)


def test_a_counted_prompt_is_weighed_as_counted_and_a_little_more():
    asked = prompt("x" * 300_000)
    assert worst.input_tokens(measured(asked, 50_000)) == worst.FRAME_TOKENS + 51_000 + 2
    assert worst.input_tokens(asked) > 300_000
    assert worst.of_turn(measured(asked, 50_000), PRICES, 0).cost_micros * 5 < (
        worst.of_turn(asked, PRICES, 0).cost_micros
    )


def test_what_came_after_it_was_counted_is_weighed_by_its_bytes():
    asked = measured(prompt("x" * 300_000), 50_000)
    later = structs.replace(asked, messages=(*asked.messages, {"role": "assistant", "content": "y" * 1_000}))
    assert 1_000 < worst.input_tokens(later) - worst.input_tokens(asked) < 1_100


def test_another_model_may_count_twice_as_many():
    asked = prompt("x" * 300_000)
    other = structs.replace(measured(asked, 50_000), model=MODELS[1])
    assert worst.input_tokens(other) == worst.FRAME_TOKENS + 102_000 + 2


def test_no_count_is_more_than_the_bytes():
    asked = prompt()
    assert worst.input_tokens(measured(asked, 10**9)) == worst.input_tokens(asked)
