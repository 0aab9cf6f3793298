"""The long profile: `python -m tests.faults MINUTES`, or `make faults`; adds to var/faults.json.

Refuses to end well where any round, of this run or an earlier one, found a fault.
"""

import secrets
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.faults.campaign import Round, run
from tests.faults.results import Book
from tests.harness.postgres import Postgres

RESULTS = Path("var/faults.json")
LEAN = (
    Round(program="lean", database="sqlite", lives=40),
    Round(program="lean", database="postgres", lives=40, at_once=2),
)
FULL = (
    Round(program="full", database="sqlite", lives=12),
    Round(program="full", database="postgres", lives=12),
    Round(program="money", database="sqlite", lives=12),
    Round(program="money", database="postgres", lives=12, at_once=2),
)


def campaign(minutes: float) -> int:
    """Rounds of both programs beside each other until the time is over; 1 where there are faults."""
    book, end = Book(RESULTS), time.monotonic() + minutes * 60
    with Postgres() as postgres, ThreadPoolExecutor(max_workers=2) as threads:
        list(threads.map(partial(_rounds, book, postgres, end), (LEAN, FULL)))
    sys.stdout.write(book.table() + "\n")
    return 1 if book.results.faults else 0


def _rounds(book: Book, postgres: Postgres, end: float, plans: Sequence[Round]) -> None:
    number = 0
    while time.monotonic() < end:
        _round(book, postgres, plans[number % len(plans)])
        number += 1


def _round(book: Book, postgres: Postgres, plan: Round) -> None:
    seed = secrets.randbits(32)
    try:
        book.add(plan.name, run(plan, seed, postgres if plan.database == "postgres" else None))
    except AssertionError as error:
        book.fault(f"seed {seed}: {error}")


if __name__ == "__main__":
    sys.exit(campaign(float(sys.argv[1])))
