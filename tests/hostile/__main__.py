"""The long profile: `python -m tests.hostile MINUTES [KIND ...]`, or `make fuzz`; adds to var/fuzz.json.

Refuses to end well where any round, of this run or an earlier one, found a fault.
"""

import os
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conftest import SOON
from tests.harness.otlp import Receiver
from tests.harness.postgres import Postgres
from tests.harness.service import Service
from tests.hostile import canaries, fuzzing, matrix, people, tenants
from tests.hostile.book import Book
from tests.hostile.places import PLACES

EXAMPLES, SECONDS, FLIGHTS, STEPS = 200, 300, 60, 5_000
"""Of a round."""
PARSERS = sorted(Path(__file__).parent.glob("test_parsers*.py"))

Found = tuple[int, Iterable[str]]
Round = Callable[[Path, int], Found]
"""Does one of a seed in an empty folder: how much was tried, and what was wrong."""


def openapi(folder: Path, seed: int) -> Found:
    """The OpenAPI document against its service."""
    (folder / "service").mkdir()
    with Service(folder / "service", fuzzing.OPEN) as service:
        found = fuzzing.fuzz(service, seed, EXAMPLES, folder, SECONDS)
    return found.cases, found.faults


def roles(folder: Path, seed: int) -> Found:
    """Every route and page by every role for its own, somebody else's and nobody's."""
    dice = random.Random(seed)  # noqa: S311 - draws examples
    with ExitStack() as opened:
        settings = people.SETTINGS | _database(opened, seed)
        service = opened.enter_context(Service(folder, settings))
        asked = opened.enter_context(matrix.Matrix(service))
        tries = list(asked.tries(dice))
        faults = [fault for one in tries for fault in asked.faults(one)]
        return len(tries), [*faults, *fuzzing.broken(service)]


def _database(opened: ExitStack, seed: int) -> dict[str, str]:
    """Every other seed's round is on PostgreSQL."""
    return {} if seed % 2 else {"DATABASE_URL": opened.enter_context(Postgres()).database()}


def walls(folder: Path, seed: int) -> Found:
    """Every route and page by every role of each tenant for what is another tenant's, by every credential."""
    dice = random.Random(seed)  # noqa: S311 - draws examples
    with ExitStack() as opened:
        settings = tenants.settings(folder, _database(opened, seed).get("DATABASE_URL"))
        service = opened.enter_context(Service(folder, settings))
        asked = opened.enter_context(tenants.Tenants(service))
        tries = list(asked.tries(dice, tenants.WAYS))
        faults = [fault for one in tries for fault in asked.faults(one)]
        return len(tries), [*faults, *asked.missing(), *fuzzing.broken(service)]


def words(folder: Path, seed: int) -> Found:
    """A word in every place; the words are their own dice."""
    with ExitStack() as opened:
        receiver = opened.enter_context(Receiver())
        settings = canaries.SETTINGS | SOON | receiver.settings() | _database(opened, seed)
        service = opened.enter_context(Service(folder, settings))
        flock = canaries.Canaries(service)
        sent = flock.fly(FLIGHTS)
        faults = [] if service.stop() == 0 else ["it did not stop in order"]
        faults += [f"{where}: {text}" for where, text in flock.strays(receiver).items()]
    assert len(PLACES) >= 40
    return sent, faults


def parsers(folder: Path, seed: int) -> Found:
    """Every parser on what is near to a good form."""
    del folder
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, PARSERS)]
    environ = os.environ | {"PARLEY_STEPS": str(STEPS), "PARLEY_SEED": str(seed)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    tests = sum(each.read_text().count("@fuzzed") for each in PARSERS)
    return tests * STEPS, [] if done.returncode == 0 else [done.stdout[-3_000:]]


KINDS: dict[str, Round] = {
    "openapi": openapi,
    "roles": roles,
    "tenants": walls,
    "words": words,
    "parsers": parsers,
}


def campaign(minutes: float, kinds: Sequence[str] = tuple(KINDS)) -> int:
    """Rounds of each of these kinds in turn until the time is over; 1 where there are faults."""
    book, end = Book(), time.monotonic() + minutes * 60
    for kind in cycle(kinds):
        if time.monotonic() >= end:
            break
        _round(book, kind, KINDS[kind])
    sys.stdout.write("\n".join(book.table()) + "\n")
    return 1 if book.results.faults else 0


def _round(book: Book, kind: str, work: Round) -> None:
    seed = secrets.randbits(32)
    with TemporaryDirectory() as folder:
        try:
            tried, faults = work(Path(folder), seed)
        except AssertionError as error:
            tried, faults = 0, [f"did not come to its end: {error}"]
    book.add(kind, seed, tried, faults)


if __name__ == "__main__":
    sys.exit(campaign(float(sys.argv[1]), sys.argv[2:] or tuple(KINDS)))
