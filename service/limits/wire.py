"""A demand as the scripts of the shared store take it, and their numbers as a verdict: pure, in microseconds.

Refuses to leave arithmetic to Lua that its doubles cannot do: what tokens are worth is worked out here, in
whole numbers, rounded against the caller.
"""

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b

from service.limits.demand import Demand, Kind, Part, Rule, Standing
from service.limits.state import Key, Live, key_of

PREFIX = "parley"
EPOCH = f"{PREFIX}:{{epoch}}"
BEAT = f"{PREFIX}:{{epoch}}:beat"
FIGURES = 3
"""Numbers that the deciding script answers for each part."""
MICROSECONDS = 1_000
"""In a millisecond; and nanoseconds in one of them."""
MOST = 1 << 46
"""Microseconds that any one demand is worth: two years. What is beyond is not told apart."""


def digest(text: str) -> str:
    """A name as part of a key: of one length, and without anything that means something in a key."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def name_of(key: Key) -> str:
    """The name of a key in Redis: all of one tag are in one hash slot."""
    tag, rule, subject = key
    return f"{PREFIX}:{{{digest(tag)}}}:{rule}:{digest(subject)}"


def names_of(demand: Demand) -> list[str]:
    """The names of a demand's keys, in the order of its parts."""
    return [name_of(key_of(demand.tag, part)) for part in demand.parts]


def worth(tokens: int, rule: Rule) -> int:
    """Microseconds that so many tokens of a rule are worth, rounded up; see `service.limits.quantities`."""
    return min(MOST, -(-tokens * _window(rule) // _per_window(rule)))


def asked(demand: Demand) -> Iterator[str | int]:
    """The arguments of the deciding script, four for each part."""
    for part in demand.parts:
        rule = part.rule
        yield rule.kind.value
        if rule.kind is Kind.QUANTITY:
            yield from (worth(part.cost, rule), worth(rule.at_once, rule), _window(rule))
        else:
            yield from (rule.limit, _window(rule), rule.window_ms + 1)


def settled(demand: Demand, spent: int) -> Iterator[str | int]:
    """The arguments of the settling script, four for each part."""
    for part in demand.parts:
        rule = part.rule
        yield rule.kind.value
        if rule.kind is Kind.QUANTITY:
            yield from (worth(part.cost, rule), worth(spent, rule), _window(rule))
        else:
            yield from (0, 0, 0)


def merged(pieces: Sequence[Live]) -> Iterator[str | int]:
    """The arguments of the merging script, three for each piece; ages are rounded down, all else up."""
    for piece in pieces:
        yield from (piece.rule.kind.value, _window(piece.rule), json.dumps(_content(piece)))


def standings(demand: Demand, figures: Sequence[int], *, admitted: bool) -> tuple[Standing, ...]:
    """How each part stands, by the numbers of the script, which are from before it was admitted."""
    return tuple(
        _STAND[part.rule.kind is Kind.QUANTITY](part, figures[place : place + FIGURES], admitted)
        for part, place in zip(demand.parts, range(0, len(figures), FIGURES), strict=True)
    )


def is_impossible(demand: Demand) -> bool:
    """Whether a part asks for more than is ever admitted at once."""
    return any(part.cost > part.rule.at_once for part in demand.parts)


def _used(part: Part, figures: Sequence[int], admitted: bool) -> Standing:  # noqa: FBT001 - one call, above
    used, falls, wait = figures
    rule = part.rule
    return Standing(
        rule=rule,
        remaining=max(0, rule.limit - used - admitted),
        reset_ms=_milliseconds(falls) or (rule.window_ms if admitted else 0),
        wait_ms=_milliseconds(wait),
    )


def _flowing(part: Part, figures: Sequence[int], admitted: bool) -> Standing:  # noqa: FBT001 - as above
    rule = part.rule
    burst, whole = rule.at_once, worth(rule.at_once, rule)
    ahead = figures[0] + (worth(part.cost, rule) if admitted else 0)
    remaining = min(burst, max(0, whole - ahead) * _per_window(rule) // _window(rule))
    rises = 0 if remaining == burst else ahead - whole + worth(remaining + 1, rule)
    return Standing(
        rule=rule,
        remaining=remaining,
        reset_ms=_milliseconds(rises),
        wait_ms=None if part.cost > burst else _milliseconds(figures[2]),
    )


_STAND = {False: _used, True: _flowing}


def _milliseconds(microseconds: int) -> int:
    return -(-microseconds // MICROSECONDS)


def _window(rule: Rule) -> int:
    return rule.window_ms * MICROSECONDS


def _per_window(rule: Rule) -> int:
    return rule.limit - rule.at_once + 1


def _content(piece: Live) -> list[int | str]:
    if piece.rule.kind is Kind.COUNT:
        return [age // MICROSECONDS for age in piece.ages]
    if piece.rule.kind is Kind.QUANTITY:
        return [_milliseconds(piece.ahead)]
    return [each for lease, left in piece.leases for each in (digest(lease), _milliseconds(left))]
