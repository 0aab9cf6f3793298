"""What a model call costs, in millionths of a US dollar, out of a table of prices.

Refuses floats, a table with anything missing or unknown in it, and a price of nothing for a model it does not
know: that one is priced as the dearest it knows, and says so.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from telemetry.record import Usage

TABLE = Path(__file__).with_name("prices.toml")

MICRO = 1_000_000

WINDOW = 200_000
"""Tokens of a model's window where the table does not say."""

DOLLARS = re.compile(r"(\d{1,6})(?:\.(\d{1,6}))?", re.ASCII)
"""Six decimals of a dollar per million tokens are whole millionths of a micro-dollar per token."""

SNAPSHOT = re.compile(r"-\d{8}$", re.ASCII)
"""The date at the end of a model's full name: claude-sonnet-5-5-20261001."""


class PricesError(ValueError):
    """The table of prices cannot be used; the message names the model and the field."""


class Priced(Struct, frozen=True, kw_only=True):
    """What a call cost, and as which model; `(dearest known)` stands behind the name of a stand-in.

    `uncached_micros` is what the same tokens cost where none of them is read from a cache or written to one.
    """

    cost_micros: int
    uncached_micros: int
    priced_as: str


class LongPrompt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A surcharge: the whole request times `factor` where its prompt has more than `over` tokens."""

    over: Annotated[int, Meta(ge=0)]
    factor: Annotated[int, Meta(ge=1)]


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model's prices as the table has them: US dollars per million tokens."""

    input: int | str
    output: int | str
    cache_read: int | str
    cache_write_5m: int | str
    cache_write_1h: int | str
    since: date
    source: Annotated[str, Meta(min_length=1)]
    long_prompt: LongPrompt | None = None
    window: Annotated[int, Meta(ge=1)] = WINDOW


class Price(Struct, frozen=True, kw_only=True):
    """One model's prices: whole millionths of a micro-dollar per token."""

    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    long_prompt: LongPrompt | None = None
    window: int = WINDOW

    def charge(self, usage: Usage) -> int:
        """Give the exact cost in millionths of a micro-dollar.

        Counts that contradict each other are read to the vendor's favour and never below zero.
        """
        read, for_1h = max(0, usage.cache_read_tokens), max(0, usage.cache_write_1h_tokens)
        written = max(for_1h, usage.cache_write_tokens)
        prompt = max(read + written, usage.input_tokens)
        cost = (
            (prompt - read - written) * self.input
            + read * self.cache_read
            + (written - for_1h) * self.cache_write_5m
            + for_1h * self.cache_write_1h
            + max(0, usage.output_tokens) * self.output
        )
        return cost * self._factor(prompt)

    def _factor(self, prompt: int) -> int:
        return self.long_prompt.factor if self.long_prompt and prompt > self.long_prompt.over else 1


class Prices:
    """The prices of all models we know, by name.

    Raises:
        PricesError: There is none, so nothing could be the dearest.
    """

    def __init__(self, by_model: Mapping[str, Price]) -> None:
        if not by_model:
            raise PricesError("The table of prices names no model.")
        self._by_model = dict(by_model)

    @classmethod
    def load(cls, path: Path = TABLE, *further: Path) -> "Prices":
        """Read the table, and further ones whose prices go before those that were read earlier.

        Raises:
            PricesError: One is not TOML, names no model, or a field is missing, unknown or no price.
            OSError: There is no such file.
        """
        read = [_models(each) for each in (path, *further)]
        return cls({model: _read(model, entry) for each in read for model, entry in each.items()})

    def known(self, model: str) -> bool:
        """Say whether a model, or the one it is a dated snapshot of, is in the table."""
        return self._base(model) is not None

    def window(self, model: str) -> int:
        """How many tokens a model takes, its answer included; of one nobody knows what most take."""
        base = self._base(model)
        return WINDOW if base is None else self._by_model[base].window

    def price(self, model: str, usage: Usage) -> Priced:
        """Price one call's usage, rounded half up to whole micro-dollars."""
        base = self._base(model)
        if base is None:
            stand_in = self._dearest(usage)
            return self._priced(stand_in, usage, f"{stand_in} (dearest known)")
        return self._priced(base, usage, base)

    def _priced(self, model: str, usage: Usage, name: str) -> Priced:
        plain = Usage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
        cost = self._cost(model, usage)
        uncached = cost if plain == usage else self._cost(model, plain)
        return Priced(cost_micros=cost, uncached_micros=uncached, priced_as=name)

    def _base(self, model: str) -> str | None:
        if model in self._by_model:
            return model
        base = SNAPSHOT.sub("", model)
        return base if base in self._by_model else None

    def _dearest(self, usage: Usage) -> str:
        # Which one is dearest depends on the mix of tokens; between equals the name decides, always alike.
        return max(self._by_model, key=lambda name: (self._by_model[name].charge(usage), name))

    def _cost(self, model: str, usage: Usage) -> int:
        return (self._by_model[model].charge(usage) + MICRO // 2) // MICRO


def _models(path: Path) -> Mapping[str, object]:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        return msgspec.convert(table, dict[str, dict[str, object]])["models"]
    except (ValueError, KeyError) as error:
        raise PricesError(f"{path.name}: not a TOML file with a table `models`: {error}.") from error


def _read(model: str, entry: object) -> Price:
    try:
        return _price(msgspec.convert(entry, Entry))
    except ValueError as error:
        raise PricesError(f"The price of {model}: {error}.") from error


def _price(entry: Entry) -> Price:
    return Price(
        input=_millionths("input", entry.input),
        output=_millionths("output", entry.output),
        cache_read=_millionths("cache_read", entry.cache_read),
        cache_write_5m=_millionths("cache_write_5m", entry.cache_write_5m),
        cache_write_1h=_millionths("cache_write_1h", entry.cache_write_1h),
        long_prompt=entry.long_prompt,
        window=entry.window,
    )


def _millionths(field: str, dollars: int | str) -> int:
    match = DOLLARS.fullmatch(str(dollars))
    if match is None:
        raise ValueError(f"`{field}` is no amount of US dollars with at most 6 decimals, as text")
    whole, decimals = match[1], match[2] or ""
    return int(whole) * MICRO + int(decimals.ljust(6, "0"))
