"""What a store is asked in one step, and what it answers: rules, the parts of a demand, the verdict over all.

Refuses a rule that cannot hold: a count that no exact log is kept for, a window or a limit of nothing.
"""

from enum import StrEnum

from msgspec import Struct

MILLISECOND = 1_000_000
"""In nanoseconds."""
MOST_COUNTED = 1_000
"""The largest count: its log is kept whole, one time for each admission."""
BURST = 5
"""A quantity is admitted in bursts of a fifth of its limit."""


class Kind(StrEnum):
    """How a rule measures."""

    COUNT = "count"
    """Requests in any window, by an exact log: a burst of the whole limit from idle is admitted."""
    QUANTITY = "quantity"
    """Tokens in any window, by strict GCRA: bursts of a fifth, four fifths a window in the long run."""
    LEASE = "lease"
    """Turns at one time; one that is never given back ends with its window."""


class Rule(Struct, frozen=True, kw_only=True):
    """At most `limit` in any `window_ms`; `name` is the policy's, in headers, records and metrics.

    Raises:
        ValueError: The rule cannot hold.
    """

    name: str
    kind: Kind
    limit: int
    window_ms: int

    def __post_init__(self) -> None:
        if self.limit < 1 or self.window_ms < 1:
            raise ValueError(
                f"The rule {self.name!r} needs a limit and a window of at least 1: "
                f"{self.limit}, {self.window_ms}."
            )
        if self.kind is Kind.COUNT and self.limit > MOST_COUNTED:
            raise ValueError(f"The rule {self.name!r} counts {MOST_COUNTED} at most: {self.limit}.")

    @property
    def window_ns(self) -> int:
        """The window in nanoseconds."""
        return self.window_ms * MILLISECOND

    @property
    def at_once(self) -> int:
        """The most that one demand may ask for; more than that is never admitted."""
        return max(1, self.limit // BURST) if self.kind is Kind.QUANTITY else self.limit


class Part(Struct, frozen=True, kw_only=True):
    """One rule, whom it is applied to, and how much is asked: 1 except of a quantity."""

    rule: Rule
    subject: str
    cost: int = 1


class Demand(Struct, frozen=True, kw_only=True):
    """All that one request asks for, admitted as a whole or not at all; a refusal costs nothing.

    `tag` is what all its keys have in common: a shared store keeps them in one place by it. `lease` names
    whoever holds what is given back later, the turn's id; equal leases are one.
    """

    tag: str
    parts: tuple[Part, ...]
    lease: str = ""


class Standing(Struct, frozen=True, kw_only=True):
    """How one part stands after a decision.

    `remaining` may be asked for at once; `reset_ms` is the time until it rises, 0 where nothing is used.
    `wait_ms` is the exact wait until this part alone would be admitted, None where it never will be, 0 where
    it is.
    """

    rule: Rule
    remaining: int
    reset_ms: int
    wait_ms: int | None = 0


class Verdict(Struct, frozen=True, kw_only=True):
    """The decision over a whole demand, its standings in the order of the parts.

    `at` is the moment by the store's own clock, in its own unit: it means something to that store alone.
    `store` says who decided: memory, redis, or local while a shared store is away.
    """

    standings: tuple[Standing, ...]
    at: int
    store: str

    @property
    def denied(self) -> Standing | None:
        """Of the parts that stand in the way the one that does so longest; None where all are admitted."""
        in_the_way = [each for each in self.standings if each.wait_ms != 0]
        return max(in_the_way, key=_wait, default=None)


def _wait(standing: Standing) -> float:
    return float("inf") if standing.wait_ms is None else standing.wait_ms
