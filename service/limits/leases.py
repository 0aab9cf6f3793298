"""Turns at one time, by who holds them.

Refuses to let a holder that is never given back stay: it ends with its window.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Self

from msgspec import Struct, field

from service.limits.demand import MILLISECOND, Part, Rule, Standing
from service.limits.state import Live, Moment


class Holders(Struct, gc=False):
    """A key's leases and when each ends; the first to end is in front.

    Where a window was shortened a lease does not end before those that were there already.
    """

    rule: Rule
    until: int = 0
    leases: dict[str, int] = field(default_factory=dict[str, int])
    whose: str = ""
    """How the names of this key's own leases begin, where others hold leases in the same state."""

    def wait(self, part: Part, moment: Moment) -> int | None:
        """Time until fewer than the limit are held, should nothing be given back; none for a holder."""
        self.trim(moment.now)
        over = len(self.leases) - part.rule.limit
        if over < 0 or self.whose + moment.lease in self.leases:
            return 0
        return self._ends(over) - moment.now

    def take(self, part: Part, moment: Moment) -> None:
        """Hold it; whoever holds it already holds it longer."""
        if part.rule.limit != self.rule.limit:
            self.rule = part.rule
        self._hold(self.whose + moment.lease, moment.now + part.rule.window_ms * MILLISECOND)

    def drop(self, lease: str) -> None:
        """Give it back; nothing happens where it is not held."""
        self.leases.pop(lease, None)

    def stand(self, rule: Rule, now: int, wait: int | None) -> Standing:
        """Count those that are left."""
        limit, used = rule.limit, len(self.leases)
        rises = self._ends(used - limit if used > limit else 0) - now if used else 0
        return Standing(
            rule=rule,
            remaining=limit - used if used < limit else 0,
            reset_ms=-(-rises // MILLISECOND),
            wait_ms=wait and -(-wait // MILLISECOND),
        )

    def is_idle(self, now: int) -> bool:
        """Whether nobody holds anything."""
        self.trim(now)
        return not self.leases

    def live(self, tag: str, subject: str, now: int) -> Live:
        """Say who holds, and how long."""
        self.trim(now)
        left = tuple((lease, end - now) for lease, end in self.leases.items())
        return Live(tag=tag, subject=subject, rule=self.rule, leases=left)

    @classmethod
    def least(cls, states: Sequence[Self], rule: Rule, now: int) -> Self:
        """Of all the one that is held by the fewest."""
        for state in states:
            state.trim(now)
        fewest = min(states, key=_number)
        return cls(rule, leases=dict(fewest.leases))

    def cover(self, other: Self) -> None:
        """Let whoever came last to the other hold this one too."""
        self.rule = other.rule
        self._hold(*next(reversed(other.leases.items())))

    def only_own(self) -> Self:
        """Return those whose names begin as one's own do, without that beginning."""
        whose = self.whose
        own = {lease[len(whose) :]: end for lease, end in self.leases.items() if lease.startswith(whose)}
        return type(self)(self.rule, leases=own)

    def trim(self, now: int) -> None:
        """Let go of those that have ended."""
        ended = 0
        for end in self.leases.values():
            if end > now:
                break
            ended += 1
        if ended:
            for lease in list(islice(self.leases, ended)):
                del self.leases[lease]

    def _hold(self, lease: str, end: int) -> None:
        self.leases.pop(lease, None)
        last = next(reversed(self.leases.values()), end)
        self.leases[lease] = max(end, last)

    def _ends(self, place: int) -> int:
        return next(islice(self.leases.values(), place, None))


def _number(state: Holders) -> int:
    return len(state.leases)
