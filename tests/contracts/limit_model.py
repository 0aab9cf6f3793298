"""What a store of limits should decide, by the definition: every admission is kept, all is summed anew.

Refuses to be fast, and shares no arithmetic with the service.
"""

from fractions import Fraction

from service.limits.demand import Demand, Kind, Part

MS = 1_000_000


class Admitted:
    """One part of an admitted demand; `cost` becomes what was spent, `held` ends with its settlement."""

    def __init__(self, part: Part, at: int, lease: str) -> None:
        self.part, self.at, self.lease = part, at, lease
        self.cost, self.held = part.cost, True


class Model:
    """All that was admitted so far, in order."""

    def __init__(self) -> None:
        self.admitted: list[Admitted] = []

    def fits(self, demand: Demand, now: int) -> list[bool]:
        """Which parts may be admitted."""
        return [self.fits_part(part, demand.lease, now) for part in demand.parts]

    def fits_part(self, part: Part, lease: str, now: int) -> bool:
        match part.rule.kind:
            case Kind.COUNT:
                return self.used(part, now) < part.rule.limit
            case Kind.LEASE:
                return lease in self.holders(part, now) or self.used(part, now) < part.rule.limit
            case Kind.QUANTITY:
                burst, ahead = max(1, part.rule.limit // 5), max(0, self.arrival(part) - now)
                return ahead + part.cost * worth(part) <= burst * worth(part)

    def used(self, part: Part, now: int) -> int:
        if part.rule.kind is Kind.LEASE:
            return len(self.holders(part, now))
        return sum(1 for each in self.of(part) if each.at > now - window(part))

    def holders(self, part: Part, now: int) -> set[str]:
        return {each.lease for each in self.of(part) if each.held and each.at > now - window(part)}

    def arrival(self, part: Part) -> Fraction:
        """The moment up to which all that was admitted is paid for."""
        arrival = Fraction(0)
        for each in self.of(part):
            arrival = max(arrival, each.at) + each.cost * worth(part)
        return arrival

    def take(self, demand: Demand, now: int) -> list[Admitted]:
        taken = [Admitted(part, now, demand.lease) for part in demand.parts]
        self.admitted += taken
        return taken

    def settle(self, taken: list[Admitted], spent: int) -> None:
        for each in taken:
            if each.part.rule.kind is Kind.QUANTITY:
                each.cost = spent
            for other in self.of(each.part):
                # a lease is its name: whoever else took it under that name holds it no more
                other.held = other.held and other.lease != each.lease

    def of(self, part: Part) -> list[Admitted]:
        return [each for each in self.admitted if key(each.part) == key(part)]


def key(part: Part) -> tuple[str, str]:
    return part.rule.name, part.subject


def window(part: Part) -> int:
    return part.rule.window_ms * MS


def worth(part: Part) -> Fraction:
    """Nanoseconds that one token is worth."""
    return Fraction(window(part), part.rule.limit - max(1, part.rule.limit // 5) + 1)


def most_in_any_window(amounts: list[tuple[int, int]], length: int) -> int:
    """The most that any half-open window holds: one that could be the worst begins at an admission.

    Args:
        amounts: Time and amount of each admission.
        length: Of the window, in the unit of the times.
    """
    starts = {at for at, _ in amounts}
    return max(
        (sum(amount for at, amount in amounts if start <= at < start + length) for start in starts),
        default=0,
    )
