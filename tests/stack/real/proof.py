"""One stack, and one service that has been asked hundreds of queries.

Refuses to hurry: a burst that rang nothing within its window, on a busy machine, is sent again.
"""

import json
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.conftest import SOON
from tests.harness.service import Service
from tests.stack.real import asking, burst
from tests.stack.real.burst import Answer
from tests.stack.real.patience import until
from tests.stack.real.stack import Stack

SOON_SECONDS = 15.0
"""A burst whose alert was not heard of by then was too slow for its window."""
ROUNDS = 3
"""Bursts are sent at most so often."""


class Proof(Struct, kw_only=True):
    """What was asked, of whom, and where it is to be seen."""

    stack: Stack
    service: Service
    answers: list[Answer] = []
    rows: list[dict[str, Any]] = []

    @property
    def jaeger(self) -> str:
        """Where Jaeger answers."""
        return self.stack.address(16686)

    @property
    def prometheus(self) -> str:
        """Where Prometheus answers."""
        return self.stack.address(9090)

    def heard(self, status: str) -> set[str]:
        """Alerts that the receiver heard of as firing, or as resolved."""
        path = self.stack.data / "alerts.jsonl"
        told = path.read_bytes().splitlines() if path.exists() else []
        alerts = [alert for line in told for alert in json.loads(line)["alerts"]]
        return {alert["labels"]["alertname"] for alert in alerts if alert["status"] == status}

    def send(self, alert: str, asked: list[burst.Asked]) -> None:
        """One burst."""
        with burst.keys_away(self.service) if alert == "DatabaseSpike" else nullcontext():
            self.answers += burst.send(self.service, asked)


@contextmanager
def proven(folder: Path, cwd: Path) -> Generator[Proof]:
    """After the bursts, when every alert of a category has been heard and every query has its row."""
    with (
        Stack(folder) as stack,
        Service(cwd, stack.settings() | SOON | burst.settings(folder)) as service,
    ):
        found = Proof(stack=stack, service=service)
        ring(found)
        until(lambda: all_rows(found), seen=service.said)
        yield found


def ring(proof: Proof) -> None:
    """Send the bursts, and those again whose alert does not fire."""
    until(lambda: zeros(proof), seen=proof.stack.said)
    bursts = burst.bursts(burst.callers(proof.service))
    for _ in range(ROUNDS):
        missing = {alert: asked for alert, asked in bursts.items() if alert not in proof.heard("firing")}
        for alert, asked in missing.items():
            proof.send(alert, asked)
        if rung(proof, set(bursts) - {""}):
            return
    raise AssertionError(f"never heard of {set(bursts) - proof.heard('firing')}\n{proof.stack.said()}")


def rung(proof: Proof, alerts: set[str]) -> bool:
    """Whether all of them are heard of soon."""
    try:
        return until(lambda: alerts <= proof.heard("firing"), SOON_SECONDS)
    except AssertionError:
        return False


def zeros(proof: Proof) -> bool:
    """Whether Prometheus has seen twice that nothing has happened yet: without, it sees no first rise."""
    seen = asking.query(proof.prometheus, "count_over_time(parley_errors_total[1m])")
    return bool(seen) and min(count for _, count in seen) > 1


def all_rows(proof: Proof) -> bool:
    """Whether every query is in a row, alone or counted."""
    proof.rows = proof.service.rows()
    return sum(row["count"] for row in proof.rows) >= len(proof.answers)
