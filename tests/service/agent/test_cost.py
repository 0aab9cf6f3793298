import tomllib
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Model
from service.agent.cost import TABLE, Priced, Prices, PricesError
from telemetry.record import Usage

PRICES = Prices.load()
MODELS = sorted(tomllib.loads(TABLE.read_text("utf-8"))["models"])

ENTRY = {
    "input": '"1"',
    "output": '"5"',
    "cache_read": '"0.10"',
    "cache_write_5m": '"1.25"',
    "cache_write_1h": "2",
    "since": "2026-01-01",
    "source": '"a page"',
}


def table(tmp_path: Path, **changes: str | None) -> Path:
    entry = {**ENTRY, **changes}
    lines = [f"{field} = {value}" for field, value in entry.items() if value is not None]
    path = tmp_path / "prices.toml"
    path.write_text("[models.model-a]\n" + "\n".join(lines), "utf-8")
    return path


def priced(model: str, prices: Prices = PRICES, **usage: int) -> int:
    return prices.price(model, Usage(**usage)).cost_micros


@pytest.mark.parametrize(
    ("model", "usage", "micros"),
    [
        ("claude-sonnet-5-5", {"input_tokens": 1_000_000}, 2_000_000),
        ("claude-sonnet-5-5", {"output_tokens": 1_000_000}, 10_000_000),
        ("claude-sonnet-5-5", {"input_tokens": 12, "output_tokens": 34}, 364),
        ("claude-sonnet-5-5", {"input_tokens": 175, "cache_read_tokens": 50, "cache_write_tokens": 25}, 268),
        ("claude-opus-5-5", {"input_tokens": 10, "cache_write_tokens": 10, "cache_write_1h_tokens": 4}, 62),
        ("claude-opus-5-5", {"input_tokens": 10, "cache_read_tokens": 10}, 2),
        ("claude-fable-5-1", {"input_tokens": 3, "cache_read_tokens": 1, "output_tokens": 1}, 70),
        ("claude-haiku-4-5", {"input_tokens": 7, "output_tokens": 3}, 22),
        ("claude-haiku-5-5", {"input_tokens": 4}, 0),
        ("claude-haiku-5-5", {"input_tokens": 5}, 1),
        ("claude-haiku-5-5", {"input_tokens": 14}, 1),
        ("claude-haiku-5-5", {"input_tokens": 15}, 2),
        ("claude-haiku-5-5", {"input_tokens": 100_000, "output_tokens": 1_000}, 10_500),
        ("claude-haiku-5-5", {"input_tokens": 100_001, "output_tokens": 1_000}, 52_501),
        ("claude-haiku-5-5", {"input_tokens": 100_001, "cache_read_tokens": 100_001}, 5_000),
        ("claude-sonnet-5-5", {}, 0),
    ],
)
def test_exact_examples(model, usage, micros):
    assert priced(model, **usage) == micros


def test_a_half_micro_dollar_is_rounded_up():
    assert priced("claude-sonnet-5-5", input_tokens=5, cache_read_tokens=5) == 1
    assert priced("claude-sonnet-5-5", input_tokens=4, cache_read_tokens=4) == 0


def test_a_known_model_is_priced_as_itself():
    assert PRICES.price("claude-opus-5", Usage()).priced_as == "claude-opus-5"


def test_a_dated_snapshot_is_priced_as_its_model():
    usage = Usage(input_tokens=1_000)
    told = PRICES.price("claude-sonnet-5-5-20261001", usage)
    assert told == PRICES.price("claude-sonnet-5-5", usage)
    assert told.priced_as == "claude-sonnet-5-5"
    assert PRICES.known("claude-sonnet-5-5-20261001")


def test_a_snapshot_of_a_longer_name_is_not_taken_for_the_shorter():
    assert PRICES.price("claude-sonnet-5-20261001", Usage()).priced_as == "claude-sonnet-5"
    assert PRICES.price("claude-sonnet-5-5-20261001", Usage()).priced_as == "claude-sonnet-5-5"


@pytest.mark.parametrize(
    "model",
    [
        "",
        "gpt-6",
        "claude",
        "claude-sonnet",
        "claude-sonnet-5-6",
        "claude-sonnet-5-5-",
        "claude-sonnet-5-5-2026100",
        "claude-sonnet-5-5-202610011",
        "claude-sonnet-5-5-20261001-fast",
        "claude-sonnet-5-5-٢٠٢٦١٠٠١",
        "claude-sonnet-5-5-20261001-20261001",
        "CLAUDE-SONNET-5-5",
        " claude-sonnet-5-5",
        "claude-sonnet-5-5\n",
        "claude-sonnet-5-5-20261001\n",
    ],
)
def test_any_other_name_is_unknown(model):
    assert not PRICES.known(model)
    assert PRICES.price(model, Usage()).priced_as.endswith(" (dearest known)")


def test_an_unknown_model_is_priced_at_the_dearest_for_this_very_usage():
    plain = PRICES.price("unheard-of", Usage(input_tokens=1_000, output_tokens=100))
    assert plain == Priced(
        cost_micros=15_000, uncached_micros=15_000, priced_as="claude-fable-5-1 (dearest known)"
    )
    cached = PRICES.price("unheard-of", Usage(input_tokens=1_000, cache_read_tokens=1_000))
    assert cached == Priced(cost_micros=500, uncached_micros=5_000, priced_as="claude-opus-5 (dearest known)")


@pytest.mark.parametrize("model", [*Model().names, Model().name])
def test_the_models_of_the_settings_are_known(model):
    assert PRICES.known(model)


COUNTS = st.integers(0, 3_000_000)
PARTS = st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)


def usage_of(parts: tuple[int, int, int, int, int]) -> Usage:
    uncached, read, for_5m, for_1h, output = parts
    return Usage(
        input_tokens=uncached + read + for_5m + for_1h,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=for_5m + for_1h,
        cache_write_1h_tokens=for_1h,
    )


@given(st.sampled_from(MODELS), PARTS)
def test_it_is_the_sum_of_tokens_times_dollars_rounded_half_up(model, parts):
    entry = tomllib.loads(TABLE.read_text("utf-8"))["models"][model]
    names = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
    exact = sum(count * Fraction(str(entry[name])) for count, name in zip(parts, names, strict=True))
    surcharge = entry.get("long_prompt")
    if surcharge and sum(parts[:4]) > surcharge["over"]:
        exact *= surcharge["factor"]
    assert PRICES.price(model, usage_of(parts)).cost_micros == (exact + Fraction(1, 2)).__floor__()


@given(st.sampled_from([*MODELS, "unheard-of"]), PARTS, PARTS)
def test_more_tokens_never_cost_less(model, parts, more):
    both = tuple(a + b for a, b in zip(parts, more, strict=True))
    assert PRICES.price(model, usage_of(both)).cost_micros >= PRICES.price(model, usage_of(parts)).cost_micros


@given(st.sampled_from([model for model in MODELS if model != "claude-haiku-5-5"]), PARTS, PARTS)
def test_two_calls_cost_what_they_would_as_one_up_to_rounding(model, one, two):
    apart = sum(PRICES.price(model, usage_of(parts)).cost_micros for parts in (one, two))
    assert abs(PRICES.price(model, usage_of(one) + usage_of(two)).cost_micros - apart) <= 1


@given(PARTS)
def test_nothing_known_costs_more_than_an_unknown_model(parts):
    usage = usage_of(parts)
    stand_in = PRICES.price("unheard-of", usage).cost_micros
    assert stand_in == max(PRICES.price(model, usage).cost_micros for model in MODELS)


ANYTHING = st.integers(-(10**9), 10**9)


@given(st.sampled_from([*MODELS, "unheard-of"]), ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING)
def test_counts_that_contradict_each_other_never_cost_less_than_nothing(
    model, given_, out, read, written, for_1h
):
    usage = Usage(
        input_tokens=given_,
        output_tokens=out,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=for_1h,
    )
    assert PRICES.price(model, usage).cost_micros >= 0


def test_a_table_of_ones_own(tmp_path):
    prices = Prices.load(table(tmp_path, output='"0.000001"'))
    assert priced("model-a", prices, output_tokens=500_000) == 1
    assert priced("model-a", prices, output_tokens=499_999) == 0
    assert priced("model-a", prices, input_tokens=1, cache_write_tokens=1, cache_write_1h_tokens=1) == 2


@pytest.mark.parametrize("field", ENTRY)
def test_a_missing_field_is_named_with_its_model(tmp_path, field):
    with pytest.raises(PricesError, match=rf"model-a: .*`{field}`"):
        Prices.load(table(tmp_path, **{field: None}))


@pytest.mark.parametrize("field", ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"])
@pytest.mark.parametrize(
    "value",
    ["1.5", "nan", "true", "[]", "{}", '""', '"-1"', "-1", '"1e3"', '"1.0000001"', '"1."', '".5"', '"1,5"',
     '" 1"', '"$1"', '"NaN"', '"٣"', '"1\\n"', '"1000000000"', "2026-01-01"],
)  # fmt: skip
def test_what_is_no_price_is_named_with_its_model_and_field(tmp_path, field, value):
    with pytest.raises(PricesError, match=rf"model-a: .*{field}`"):
        Prices.load(table(tmp_path, **{field: value}))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"since": '"yesterday"'}, "since"),
        ({"since": "20260101"}, "since"),
        ({"source": '""'}, "source"),
        ({"source": "1"}, "source"),
        ({"discount": '"1"'}, "discount"),
        ({"long_prompt": "5"}, "long_prompt"),
        ({"long_prompt": "{ over = 1 }"}, "factor"),
        ({"long_prompt": "{ over = 1, factor = 0 }"}, "factor"),
        ({"long_prompt": "{ over = -1, factor = 2 }"}, "over"),
        ({"long_prompt": "{ over = 1, factor = 1.5 }"}, "factor"),
        ({"long_prompt": "{ over = 1, factor = 2, more = 3 }"}, "more"),
    ],
)
def test_every_other_fault_is_named_too(tmp_path, changes, named):
    with pytest.raises(PricesError, match=rf"model-a: .*{named}"):
        Prices.load(table(tmp_path, **changes))


@pytest.mark.parametrize(
    "content",
    [b"", b"models = 1", b"[models]", b"[model.a]", b"[models]\na = 1", b"not toml", b"\xff\xfe", b"x = 1"],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    path = tmp_path / "prices.toml"
    path.write_bytes(content)
    with pytest.raises(PricesError):
        Prices.load(path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Prices.load(tmp_path / "prices.toml")


def test_every_entry_says_since_when_and_from_where():
    for entry in tomllib.loads(TABLE.read_text("utf-8"))["models"].values():
        assert isinstance(entry["since"], date)
        assert len(entry["source"]) > 10
