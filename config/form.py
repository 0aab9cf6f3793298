"""The forms a setting's text can have: how each is read, shown and described.

Refuses whatever is not exactly of the form: no stray blanks, no underscores, no nan, no number out of bounds.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from ipaddress import ip_network
from types import MappingProxyType
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from config.secret import MASK, Secret

T = TypeVar("T")
N = TypeVar("N", int, float)

SWITCH: Mapping[str, bool] = MappingProxyType(
    {"on": True, "yes": True, "true": True, "1": True, "off": False, "no": False, "false": False, "0": False}
)
MICROS = 1_000_000


class Form(Struct, Generic[T], frozen=True, kw_only=True):
    """One form of text.

    `expected` completes the sentence "expected ..."; `read` raises ValueError where the text is not of the
    form; `quoted` says whether an error may repeat the text. `show` masks what must not be seen.
    """

    expected: str
    read: Callable[[str], T]
    show: Callable[[T], str] = str
    quoted: bool = True
    secret: bool = False


def switch() -> Form[bool]:
    """On or off, in any of the usual words."""
    return Form(
        expected="true or false (also on, off, yes, no, 1, 0)",
        read=lambda text: _one(SWITCH, text.lower()),
        show=lambda value: str(value).lower(),
    )


def whole(least: int, most: int) -> Form[int]:
    """An integer within bounds, both included."""

    def read(text: str) -> int:
        _match(r"0|-?[1-9][0-9]{0,14}", text)
        return _within(int(text), least, most)

    return Form(expected=f"a whole number from {least} to {most}", read=read)


def fraction(least: float, most: float) -> Form[float]:
    """A plain decimal number within bounds, both included."""

    def read(text: str) -> float:
        _match(r"[0-9]{1,9}(\.[0-9]{1,18})?|\.[0-9]{1,18}", text)
        return _within(float(text), least, most)

    return Form(expected=f"a number from {least:g} to {most:g}", read=read, show=_plain)


def dollars(most: int) -> Form[int]:
    """US dollars with at most six decimals, kept as integer micro-dollars."""

    def read(text: str) -> int:
        _match(r"[0-9]{1,9}(\.[0-9]{1,6})?", text)
        return _within(int(Decimal(text) * MICROS), 1, most * MICROS)

    def show(micros: int) -> str:
        return _plain(Decimal(micros) / MICROS)

    return Form(expected=f"US dollars from 0.000001 to {most}, at most six decimals", read=read, show=show)


def one_of(*options: str) -> Form[str]:
    """One of a closed list of words, in any case."""
    words = {option.lower(): option for option in options}
    *first, last = options
    expected = f"{', '.join(first)} or {last}" if first else last
    return Form(expected=expected, read=lambda text: _one(words, text.lower()))


def text(expected: str, pattern: str) -> Form[str]:
    """Text that matches a pattern as a whole."""
    return Form(expected=expected, read=lambda given: _match(pattern, given))


def listed(expected: str, pattern: str) -> Form[tuple[str, ...]]:
    """Distinct items between commas, each matching a pattern; blanks around an item do not count."""

    def read(given: str) -> tuple[str, ...]:
        return tuple(_distinct([_match(pattern, item.strip(" ")) for item in given.split(",")]))

    return Form(expected=expected, read=read, show=",".join)


def numbers(least: int, most: int) -> Form[frozenset[int]]:
    """Distinct whole numbers between commas; blanks around one do not count."""

    def read(given: str) -> frozenset[int]:
        return frozenset(_distinct([whole(least, most).read(item.strip(" ")) for item in given.split(",")]))

    def show(value: frozenset[int]) -> str:
        return ",".join(map(str, sorted(value)))

    return Form(
        expected=f"distinct whole numbers from {least} to {most} between commas", read=read, show=show
    )


def networks() -> Form[tuple[str, ...]]:
    """Distinct IP addresses and networks between commas; blanks around one do not count."""

    def read(given: str) -> tuple[str, ...]:
        items = [item.strip(" ") for item in given.split(",")]
        for item in items:
            ip_network(_match(r"[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?", item), strict=False)
        return tuple(_distinct(items))

    return Form(expected="distinct addresses or networks between commas", read=read, show=",".join)


def hidden(expected: str, pattern: str) -> Form[Secret]:
    """A secret whose value matches a pattern as a whole."""
    return Form(
        expected=expected,
        read=lambda given: Secret(_match(pattern, given)),
        show=lambda _: MASK,
        quoted=False,
        secret=True,
    )


def located(expected: str, pattern: str) -> Form[str]:
    """A URL that matches a pattern as a whole; the credentials it may carry are never shown."""
    return Form(
        expected=expected, read=lambda given: _match(pattern, given), show=_mask_credentials, quoted=False
    )


def web_address() -> Form[str]:
    """An http or https URL with a host; the credentials it may carry are never shown."""

    def read(given: str) -> str:
        parts = urlsplit(_match(r"https?://[!-~]+", given))
        if not parts.hostname or parts.port == 0 or set(given) & set("?#\\"):
            raise ValueError
        return given

    return Form(
        expected="an http:// or https:// URL without query or fragment",
        read=read,
        show=_mask_credentials,
        quoted=False,
    )


def counts(table: Mapping[str, int], name: str, least: int, most: int) -> Form[Mapping[str, int]]:
    """Numbers by name, as `A=1,B=2`; they replace those of the table and leave its others."""

    def read(given: str) -> Mapping[str, int]:
        pairs = [item.strip(" ").partition("=") for item in given.split(",")]
        _distinct([key for key, _, _ in pairs])
        numbers = {_match(name, key): whole(least, most).read(number) for key, _, number in pairs}
        return MappingProxyType({**table, **numbers})

    def show(value: Mapping[str, int]) -> str:
        return ",".join(f"{key}={number}" for key, number in value.items())

    return Form(
        expected=f"names with a number from {least} to {most} each, as CFO=100,GUEST=10", read=read, show=show
    )


def choices(expected: str, name: str, item: str) -> Form[Mapping[str, tuple[str, ...]]]:
    """Some words by name, as `A=x|y,B=z`, each distinct among its own and matching its pattern."""

    def read(given: str) -> Mapping[str, tuple[str, ...]]:
        pairs = [part.strip(" ").partition("=") for part in given.split(",")]
        _distinct([key for key, _, _ in pairs])
        words = {_match(name, key): _distinct(some.split("|")) for key, _, some in pairs}
        return MappingProxyType(
            {key: tuple(_match(item, word) for word in some) for key, some in words.items()}
        )

    def show(value: Mapping[str, tuple[str, ...]]) -> str:
        return ",".join(f"{key}={'|'.join(words)}" for key, words in value.items())

    return Form(expected=expected, read=read, show=show)


def named(expected: str, name: str, item: str) -> Form[Mapping[str, str]]:
    """One word by name, as `A=x,B=y`, in their order; a name may hold a `=` itself."""

    def read(given: str) -> Mapping[str, str]:
        pairs = [part.strip(" ").rpartition("=") for part in given.split(",")]
        _distinct([key for key, _, _ in pairs])
        return MappingProxyType({_match(name, key): _match(item, word) for key, _, word in pairs})

    def show(value: Mapping[str, str]) -> str:
        return ",".join(f"{key}={word}" for key, word in value.items())

    return Form(expected=expected, read=read, show=show)


def _plain(number: float | Decimal) -> str:
    return f"{Decimal(str(number)).normalize():f}"


def _match(pattern: str, given: str) -> str:
    if not re.fullmatch(pattern, given):
        raise ValueError
    return given


def _one(words: Mapping[str, T], given: str) -> T:
    if given not in words:
        raise ValueError
    return words[given]


def _within(number: N, least: float, most: float) -> N:
    if not least <= number <= most:
        raise ValueError
    return number


def _distinct(items: list[T]) -> list[T]:
    if len(set(items)) < len(items):
        raise ValueError
    return items


def _mask_credentials(url: str) -> str:
    # A password that should have been percent-encoded may hold a slash; an option may be one, too.
    shown = re.sub(r"^(postgres(?:ql)?://).*@|^([a-z]+://)[^/]*@", rf"\g<1>\g<2>{MASK}@", url)
    return re.sub(r"([?&](?:ssl)?password=)[^&]*", rf"\g<1>{MASK}", shown)
