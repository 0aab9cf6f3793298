"""What the audit costs an answer: `python -m tests.bench.audit_cost [TURNS]`, tables on stdout.

Refuses to compare two runs: each pair of turns, one with the audit and one without, is of the same moment.
"""

import asyncio
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from msgspec import Struct

from config.secret import Secret
from config.settings import Audit, Settings
from service.audit.checkpoints import Sealing
from service.audit.signing import log_key
from service.audit.sink import AuditSink, Equipment
from service.auth.derive import Derived
from service.errors import ending_of
from service.seal.vault import Vault
from service.store.database import Database, open_database
from telemetry import ids
from telemetry.record import Caller, TurnOpening, TurnRecord, Usage
from telemetry.recorder import Recorder, microseconds
from telemetry.sink import Sink, guard
from telemetry.testing import MemorySink

TURNS = 5_000
WARM = 50
RATE = 400
"""Pairs a second where one follows the other after a rest."""
CROWD = 64
"""Turns at once where there is no rest: caches are warm, and the clerk is busy."""
ROUTE, MODEL = "POST /api/v1/agent/chat", "claude-sonnet-5-5"
CALLER = Caller(user_id="user-1", role="AUDITEE", method="api_key", credential_id="k", pseudonym="p")
QUERY = "What did we spend in the last quarter, by department? " * 4


class Syncs:
    """Counts syncs of the disk, and those among them that the loop's own thread waited for."""

    def __init__(self) -> None:
        self.all = self.of_the_loop = 0
        self._loop = threading.get_ident()
        self._given = os.fdatasync, os.fsync

    def watch(self, opened: ExitStack) -> None:
        """Count from now on, until the stack is left."""
        os.fdatasync, os.fsync = map(self._counting, self._given)
        opened.callback(self._stop)

    def _counting(self, sync):
        def counted(fd: int) -> None:
            self.all += 1
            self.of_the_loop += threading.get_ident() == self._loop
            sync(fd)

        return counted

    def _stop(self) -> None:
        os.fdatasync, os.fsync = self._given


class Cost(Struct):
    """Microseconds of one turn: the sink's two calls, the wait for the disk, and all else."""

    calls: float
    waited: float
    rest: float


class Timed:
    """A sink whose calls are timed, turn by turn."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._nanoseconds: dict[str, int] = {}

    def taken(self, turn_id: str) -> int:
        """The nanoseconds of a turn's calls, which are forgotten."""
        return self._nanoseconds.pop(turn_id)

    def opened(self, opening: TurnOpening) -> None:
        """Tell it."""
        start = time.perf_counter_ns()
        self._sink.opened(opening)
        self._nanoseconds[opening.turn_id] = time.perf_counter_ns() - start

    def closed(self, record: TurnRecord) -> None:
        """Tell it."""
        start = time.perf_counter_ns()
        self._sink.closed(record)
        self._nanoseconds[record.opening.turn_id] += time.perf_counter_ns() - start

    async def start(self) -> None:
        """It was started already."""

    async def stop(self) -> None:
        """Its owner stops it."""


class Way(Struct, frozen=True):
    """A recorder, its timed sink, and the audit where that is what it tells."""

    recorder: Recorder
    timed: Timed
    audit: AuditSink | None = None


async def turn(way: Way) -> Cost:
    """One turn of an instant model."""
    audit = way.audit
    turn_id = ids.uuid7()
    start = time.perf_counter_ns()
    with way.recorder.turn(turn_id, ROUTE) as draft:
        draft.identified(CALLER)
        draft.asked(conversation_id=turn_id, model=MODEL, query=QUERY, streamed=True)
        draft.admitted()
        if audit:
            audit.require(turn_id)
        mark = time.perf_counter_ns()
        if audit:
            await audit.begun()
        waited = time.perf_counter_ns() - mark
        with draft.model_call(MODEL, {}) as model:
            model.content()
            model.counted(Usage(input_tokens=120, output_tokens=40), 960, MODEL)
        draft.answered("It was a lot.")
    whole, calls = time.perf_counter_ns() - start, way.timed.taken(turn_id)
    return Cost(calls / 1_000, waited / 1_000, (whole - waited - calls) / 1_000)


async def measure(folder: Path, turns: int, crowd: int) -> tuple[list[Cost], list[Cost], Syncs]:
    """Costs with and without the audit, pair by pair, and the syncs meanwhile."""
    settings = Settings(audit=Audit(journal_dir=str(folder / "journal")))
    database = await open_database(f"sqlite:///{folder}/parley.db", Vault())
    audit = await audit_over(settings, database, database.audit)
    kept, bare = way_over(audit, audit), way_over(Forgetful())
    syncs = Syncs()
    with ExitStack() as opened:
        syncs.watch(opened)
        callers = [_call(kept, bare, turns // crowd + WARM, crowd) for _ in range(crowd)]
        pairs = [pair for each in await asyncio.gather(*callers) for pair in each[WARM:]]
    await audit.stop()
    await database.close()
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs], syncs


async def _call(kept: Way, bare: Way, turns: int, crowd: int) -> list[tuple[Cost, Cost]]:
    """Ask so many pairs; who is alone rests before each."""
    costs: list[tuple[Cost, Cost]] = []
    for _ in range(turns):
        await asyncio.sleep(random.expovariate(RATE) if crowd == 1 else 0)
        costs.append(await _pair(kept, bare))
    return costs


async def _pair(kept: Way, bare: Way) -> tuple[Cost, Cost]:
    if random.random() < 0.5:  # noqa: S311 - no secret
        return await turn(kept), await turn(bare)
    without = await turn(bare)
    return await turn(kept), without


def way_over(sink: Sink, audit: AuditSink | None = None) -> Way:
    """A recorder that tells this sink, timed."""
    timed = Timed(sink)
    return Way(Recorder(guard([("timed", timed)]), ending_of), timed, audit)


async def audit_over(settings: Settings, database: Database, rows: Any) -> AuditSink:
    """The audit of these settings, whose rows go there."""
    derived, log_id = Derived(Secret("a root secret of a bench, long enough")), await database.audit.log_id()
    key = log_key(None, derived.signing_seeds, log_id)
    audit = AuditSink(settings)
    sealing = Sealing(database.checkpoints, key, (), microseconds)
    audit.equipment = Equipment(rows=rows, keys=derived.journals, tell=_nobody, sealing=sealing)
    await audit.start()
    return audit


def _nobody(record: TurnRecord) -> None:
    """Nobody hears."""
    del record


class Forgetful(MemorySink):
    """A sink that keeps nothing."""

    def opened(self, opening) -> None:
        """Forget it."""

    def closed(self, record) -> None:
        """Forget it."""


def table(kept: Sequence[Cost], bare: Sequence[Cost], syncs: Syncs) -> str:
    """Figures in words; a difference is that of the two quantiles."""
    on, off = ([each.calls for each in costs] for costs in (kept, bare))
    differences = zip(_quantiles(on), _quantiles(off), strict=True)
    lines = [
        f"{'microseconds':34}{'p50':>9}{'p90':>9}{'p99':>9}{'p99.9':>9}{'max':>10}",
        _line("opened and closed, audit on", _quantiles(on)),
        _line("opened and closed, audit off", _quantiles(off)),
        _line("  difference", [with_it - without for with_it, without in differences]),
        _line("waiting for the disk (begun)", _quantiles([each.waited for each in kept])),
        _line("rest of the turn, audit on", _quantiles([each.rest for each in kept])),
        _line("rest of the turn, audit off", _quantiles([each.rest for each in bare])),
        f"{len(kept)} pairs; {syncs.all} syncs, {syncs.of_the_loop} of them in the loop's thread",
    ]
    return "\n".join(lines)


def _quantiles(values: Sequence[float]) -> Sequence[float]:
    ordered = sorted(values)
    return [ordered[min(int(len(ordered) * part), len(ordered) - 1)] for part in (0.5, 0.9, 0.99, 0.999, 1)]


def _line(name: str, values: Sequence[float]) -> str:
    return f"{name:34}" + "".join(f"{value:9.1f}" for value in values[:-1]) + f"{values[-1]:10.1f}"


def run(turns: int) -> None:
    """Measure alone and in a crowd, and tell."""
    for crowd in (1, CROWD):
        with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
            told = table(*asyncio.run(measure(Path(folder), turns, crowd)))
        sys.stdout.write(f"{crowd} at once\n{told}\n\n")


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else TURNS)
