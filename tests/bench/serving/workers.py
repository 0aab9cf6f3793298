"""One worker and two over one PostgreSQL and one Redis: rates, and what an answer costs their processes.

Refuses to pass for two cores of a server: here load, upstream, PostgreSQL and Redis share the same two. Where
cores are there, the rate grows by as much as the processor time of an answer does not.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench.serving.process import LOAD_CORE, SERVER_CORE
from tests.bench.serving.rounds import Plan, Row
from tests.bench.serving.rounds import measure as measured
from tests.bench.serving.systems import parley, upstreams
from tests.harness.postgres import Postgres
from tests.harness.redis import Redis

CORES = f"{SERVER_CORE},{LOAD_CORE}"
COUNTS = (1, 2)


def measure(folder: Path, plan: Plan) -> dict[str, Any]:
    """Both beside each other, in the same rounds."""
    with ExitStack() as running:
        server, redis = running.enter_context(Postgres()), running.enter_context(Redis())
        ports = running.enter_context(upstreams(folder))
        up = {}
        for count in COUNTS:
            shared = {"DATABASE_URL": server.database(), "AGENT_RATE_LIMIT_STORE": redis.url(database=count)}
            started = parley(folder / str(count), ports.instant, ("--workers", str(count)), CORES, **shared)
            up[str(count)] = running.enter_context(started)
        return told(measured(up, "json", plan))


def told(rows: Sequence[Row]) -> Mapping[str, Any]:
    """What two workers do of what one does, by how many ask; nothing where an answer was bad."""
    by = {(row.system, row.callers): row for row in rows if not row.bad and row.rate}
    pairs = [
        (callers, by["1", callers], by["2", callers])
        for callers in sorted({row.callers for row in rows})
        if {("1", callers), ("2", callers)} <= by.keys()
    ]
    return {
        f"{callers} callers": {
            "rate_of_one": round(one.rate, 1),
            "rate_of_two": round(two.rate, 1),
            "rate_ratio": round(two.rate / one.rate, 3),
            "cpu_ms_of_one": round(one.cpu_ms, 3),
            "cpu_ms_of_two": round(two.cpu_ms, 3),
        }
        for callers, one, two in pairs
    }
