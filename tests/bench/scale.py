"""What 10, 100 and 1,000 replicas ask of what they share: calculated, from the costs of one unit each.

`python -m tests.bench.scale [TURNS]`: turns a second of one replica. Refuses to pass for a measurement: the
units are measured, each where it says, and all else is multiplied.
"""

import sys
from collections.abc import Iterator, Sequence

from msgspec import Struct

REPLICAS = (10, 100, 1_000)
TURNS = 25.6
"""A second, of one replica: all 256 places taken (`AGENT_MAX_TURNS`) by turns of ten seconds."""


class Shared(Struct, frozen=True):
    """Something that replicas share: what a turn asks of it, what it does a second, and what is done then."""

    name: str
    unit: str
    a_turn: float
    a_second: float
    measured: str
    then: str

    def load(self, replicas: int, turns: float) -> float:
        """Which part of it is used, by so many replicas of so many turns a second."""
        return replicas * turns * self.a_turn / self.a_second


ALL: Sequence[Shared] = (
    Shared(
        name="audit's sequencer",
        unit="rows",
        a_turn=1,
        a_second=10_000,
        measured="README, Figures: rows appended and sealed in PostgreSQL, batches of 500, the worse of two",
        then="one log for each group of replicas, its checkpoint's root a leaf of one tree over all",
    ),
    Shared(
        name="budgets in PostgreSQL",
        unit="reservations",
        a_turn=1,
        a_second=4_500,
        measured="README, Figures: putting money aside, together; only where budgets are set",
        then="a database for each group of tenants; a budget belongs to one",
    ),
    Shared(
        name="limits in Redis",
        unit="decisions",
        a_turn=2,
        a_second=2_500,
        measured="README, Figures: four parts, 16 callers, a load of 6, client and server on two cores",
        then="a Redis for each share of the users; a tenant's count needs the same one",
    ),
    Shared(
        name="one core of a collector",
        unit="turns",
        a_turn=1,
        a_second=1_100,
        measured="0.90 ms of its time a turn: all signals, masking, tail sampling, nobody behind it, "
        "425 turns of the simulator as JSON, on a machine at a load of 20",
        then="a collector beside each replica, or for some: all spans of a trace are one replica's",
    ),
)
"""A turn is one row, one reservation, and two scripts of Redis: let in, and settled."""


def ceiling(shared: Shared, turns: float) -> float:
    """Replicas that it bears."""
    return shared.a_second / (shared.a_turn * turns)


def lines(turns: float) -> Iterator[str]:
    """The calculation as a table."""
    yield f"calculated for {turns:g} turns a second of one replica; a part of 1 is all that one such can do"
    yield f"{'':22}" + "".join(f"{count:>8,}" for count in REPLICAS) + f"{'full at':>10}"
    for each in sorted(ALL, key=lambda each: ceiling(each, turns)):
        parts = "".join(f"{each.load(count, turns):8.2f}" for count in REPLICAS)
        yield f"{each.name:22}{parts}{ceiling(each, turns):10,.0f}"
    for each in ALL:
        yield f"{each.name}: {each.a_second:,.0f} {each.unit} a second ({each.measured}). Then: {each.then}."


if __name__ == "__main__":
    told = lines(float(sys.argv[1]) if len(sys.argv) > 1 else TURNS)
    sys.stdout.write("\n".join(told) + "\n")
