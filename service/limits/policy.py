"""The arithmetic of a request limit: an exact log of admissions, in whole nanoseconds.

Refuses a clock, a store, and any rounding that favours the caller.

An admission at `a` counts at every moment of [a, a + window). One more is admitted at `now` exactly when
fewer than `limit` count then. So no half-open span [t, t + window), wherever it starts, holds more than
`limit`: the last admission in it saw all others. A burst of `limit` from idle is admitted whole.

A log is the ascending times of a subject's admissions; it may hold ones that no longer count, never lack
one that does. Only admissions are in it, so refusals cost nothing.
"""

from bisect import bisect_right
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from telemetry.record import Decision, RateLimit

MILLISECOND = 1_000_000
"""In nanoseconds."""


class Rate(Struct, frozen=True, kw_only=True):
    """So many requests in any window of so many milliseconds; `policy` is its name."""

    policy: str
    limit: int
    window_ms: int

    def __post_init__(self) -> None:
        if self.limit < 1 or self.window_ms < 1:
            raise ValueError(
                f"A rate needs a limit and a window of at least 1: {self.limit}, {self.window_ms}."
            )

    @property
    def window_ns(self) -> int:
        """The window in nanoseconds."""
        return self.window_ms * MILLISECOND


def count_expired(log: Sequence[int], now: int, rate: Rate) -> int:
    """Count the leading admissions that no longer count: those a whole window old or older."""
    return bisect_right(log, now - rate.window_ns)


def peek(log: Sequence[int], now: int, rate: Rate) -> RateLimit:
    """Say what stands before a request; the decision is what the request would get."""
    used = len(log) - count_expired(log, now, rate)
    # With more used than the limit allows (it was lowered), the oldest ones expire without any effect.
    rises = log[-min(used, rate.limit)] + rate.window_ns - now if used else 0
    full = used >= rate.limit
    return RateLimit(
        decision=Decision.DENIED if full else Decision.ALLOWED,
        policy=rate.policy,
        limit=rate.limit,
        window_ms=rate.window_ms,
        remaining=max(0, rate.limit - used),
        reset_ms=_milliseconds(rises),
        retry_after_ms=_milliseconds(rises) if full else 0,
    )


def admit(log: Sequence[int], now: int, rate: Rate) -> RateLimit:
    """Decide one request and say what stands after it; the store appends `now` where it is allowed."""
    before = peek(log, now, rate)
    if before.decision is Decision.DENIED:
        return before
    return replace(before, remaining=before.remaining - 1, reset_ms=before.reset_ms or rate.window_ms)


def _milliseconds(nanoseconds: int) -> int:
    return -(-nanoseconds // MILLISECOND)
