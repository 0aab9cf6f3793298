"""Rounds of kills: an installation each, a plan of how its lives end, a verdict at the end.

Refuses to go on over a fault: the folder and the database of a round that has one stay where they are.
"""

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct

from tests.faults.crowded import Crowded
from tests.faults.lives import REHEARSED, Lives
from tests.faults.money import BUDGETS, ledger
from tests.faults.verdict import Verdict, judged
from tests.harness.postgres import Postgres

PLAIN = ("random", "random", "early", "recovering")
"""Kinds of kills that know nothing of the program, and how often each is chosen."""


PROGRAMS: Mapping[str, Callable[[Path, str, int], Lives]] = MappingProxyType(
    {"lean": Lives, "full": Crowded, "money": partial(Crowded, **BUDGETS)}
)
"""What is killed; `money` is the whole service with budgets, in whose ledger nothing may be left."""


class Round(Struct, frozen=True, kw_only=True):
    """What is killed, how often, and how many of its processes live at once over one folder."""

    program: str
    database: str
    lives: int
    at_once: int = 1

    @property
    def name(self) -> str:
        """`lean on sqlite`, and so on."""
        return f"{self.program} on {self.database}"


def run(plan: Round, seed: int, postgres: Postgres | None = None) -> Verdict:
    """One round.

    Raises:
        AssertionError: it did not come to rest; with all that was said.
    """
    with _place(postgres) as (cwd, url):
        lives = PROGRAMS[plan.program](cwd, url, seed)
        with ThreadPoolExecutor(max_workers=plan.at_once) as threads:
            list(threads.map(lives.live, kinds(lives.random, plan.lives)))
        lives.settle()
        verdict = judged(lives)
        assert not verdict.faults, "\n".join([f"{plan.name} in {cwd}, {url}", *verdict.faults[:20]])
        assert bool(ledger(url)) == (plan.program == "money")
        if isinstance(lives, Crowded):
            told = lives.verify()
            assert (told["valid"], told["refused"], told["freshness"] != "unproven") == (True, 0, True), told
        return verdict


def kinds(chance: random.Random, number: int) -> Sequence[str]:
    """How so many lives end: one in two at a failpoint, each of them before any comes again."""
    points = chance.sample(REHEARSED, len(REHEARSED)) * (number // len(REHEARSED) + 1)
    chosen = [points[place // 2] if place % 2 else chance.choice(PLAIN) for place in range(number)]
    return ["random", *chosen[1:]]


@contextmanager
def _place(postgres: Postgres | None) -> Iterator[tuple[Path, str]]:
    cwd = Path(tempfile.mkdtemp(prefix="parley-faults-"))
    url = postgres.database() if postgres else f"sqlite:///{cwd}/var/parley.db"
    yield cwd, url
    if postgres:
        postgres.sql(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)", "postgres")
    shutil.rmtree(cwd)
