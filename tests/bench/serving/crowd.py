"""A thousand open streams on one process: each gets all its events; memory of each, and how late the loop is.

Refuses to ask the process itself: a probe asks for liveness all the while, and waits for the loop as all do.
"""

import http.client
import statistics
import threading
import time
from pathlib import Path
from typing import Any

from tests.bench.serving.rounds import load
from tests.bench.serving.systems import System, parley, upstreams

STREAMS, SECONDS = 1_000, 12.0
GAP_US = 250_000
"""Between two pieces: a stream is open for five seconds."""
EVERY = 0.02
SETTLED = 4.0
"""Seconds after which all streams are open."""


def measure(folder: Path) -> dict[str, Any]:
    """Open them, and look."""
    with upstreams(folder, GAP_US) as ports, parley(folder / "crowd", ports.paced) as system:
        load(system.targets["stream"], 8, 0.1)
        idle = system.program.resident_bytes()
        found: dict[str, Any] = {}
        asking = threading.Thread(
            target=lambda: found.update(load(system.targets["stream"], STREAMS, SECONDS)), daemon=True
        )
        asking.start()
        time.sleep(SETTLED)
        waits = _probe(system, SECONDS - SETTLED)
        taken = system.program.resident_bytes() - idle
        asking.join()
    return {
        "streams": STREAMS,
        "good": found["good"],
        "bad": found["bad"],
        "bytes_each": taken / STREAMS,
        "lag_p50_ms": statistics.median(waits) * 1000,
        "lag_p99_ms": sorted(waits)[int((len(waits) - 1) * 0.99)] * 1000,
    }


def _probe(system: System, seconds: float) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", system.targets["stream"].port, timeout=30)
    waits, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        asked = time.perf_counter()
        connection.request("GET", "/health/live")
        connection.getresponse().read()
        waits.append(time.perf_counter() - asked)
        time.sleep(EVERY)
    return waits
