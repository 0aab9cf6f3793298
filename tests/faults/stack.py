"""The long profile of the stack: `python -m tests.faults.stack MINUTES`, or `make stack-faults`.

Collector and Jaeger are away for half a minute, and killed, again and again while one service is asked. Adds
to var/stack.json; refuses to end well where any round, of this run or an earlier one, broke a promise.
"""

import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path

import msgspec
from msgspec import Struct, field

from tests.conftest import MANY, SOON
from tests.harness.service import Service
from tests.stack.real import outages
from tests.stack.real.outages import Outage
from tests.stack.real.stack import Stack

RESULTS = Path("var/stack.json")
SECONDS = 30.0
ROUNDS: tuple[Callable[[Stack, Service], Outage], ...] = (
    partial(outages.collector_away, seconds=SECONDS),
    partial(outages.jaeger_away, seconds=SECONDS),
    partial(outages.undecided, number=signal.SIGTERM),
    partial(outages.undecided, number=signal.SIGKILL),
)


class Total(Struct):
    """The outages of one name; `kept` of the traces of `asked` queries arrived, all `promised` among them."""

    rounds: int = 0
    asked: int = 0
    kept: int = 0
    promised: int = 0
    slowest: float = 0.0


class Results(Struct):
    """What all runs came to."""

    totals: dict[str, Total] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, outage: Outage) -> None:
        """One more, every promise of which was kept."""
        total = self.totals.setdefault(f"{outage.name}, {outage.seconds:g} s", Total())
        total.rounds += 1
        for each in ("asked", "kept", "promised"):
            setattr(total, each, getattr(total, each) + getattr(outage, each))
        total.slowest = max(total.slowest, outage.slowest)


def campaign(minutes: float) -> int:
    """Outages of each kind in turn until the time is over; 1 where there are faults."""
    results = msgspec.json.decode(RESULTS.read_bytes(), type=Results) if RESULTS.exists() else Results()
    end = time.monotonic() + minutes * 60
    with (
        tempfile.TemporaryDirectory(prefix="parley-stack-") as folder,
        Stack(Path(folder), ("jaeger", "collector")) as stack,
        Service(made(Path(folder) / "service"), stack.settings() | SOON | MANY) as service,
    ):
        for outage in cycle(ROUNDS):
            if time.monotonic() > end:
                break
            one(results, partial(outage, stack, service))
    return say(results)


def made(folder: Path) -> Path:
    """The folder, which is there now."""
    folder.mkdir()
    return folder


def one(results: Results, outage: Callable[[], Outage]) -> None:
    """One outage, into the file."""
    try:
        results.add(outage())
    except AssertionError as error:
        results.faults.append(str(error))
        raise
    finally:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results)))


def say(results: Results) -> int:
    """Print the table."""
    for name, total in results.totals.items():
        sys.stdout.write(
            f"{name}: {total.rounds} rounds, {total.asked} queries answered (slowest {total.slowest:.2f} s),"
            f" {total.promised} traces promised, {total.kept} arrived\n"
        )
    sys.stdout.write(f"faults: {len(results.faults)}\n")
    return 1 if results.faults else 0


if __name__ == "__main__":
    sys.exit(campaign(float(sys.argv[1])))
