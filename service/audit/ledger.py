"""Counts what is owed to the audit and where it is: a law of conservation that is told as metrics.

Refuses to compute one side from the other: what waits is counted where it waits.
"""

import time
from collections.abc import Callable, Iterable
from weakref import WeakSet

from msgspec import Struct
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from telemetry import names
from telemetry.counts import Count
from telemetry.recorder import microseconds

_meter = metrics.get_meter(names.SCOPE)
_begun = Count(names.AUDIT_BEGUN, "{row}", "Audit rows owed")
_committed = Count(names.AUDIT_COMMITTED, "{row}", "Audit rows in the database")
_quarantined = Count(names.AUDIT_QUARANTINED, "{row}", "Audit rows that the database refused, put aside")


LOOKS, LOOK_SECONDS = 5, 0.002


class Waiting(Struct, frozen=True, kw_only=True):
    """What is not in the database yet, counted where it is. `oldest` is microseconds since 1970 (UTC)."""

    rows: int = 0
    bytes: int = 0
    oldest: int | None = None
    log_size: int = 0
    disk_free: int = 0


class Ledger:
    """The counts of one audit since its start; `look` counts what waits."""

    def __init__(self, look: Callable[[], Waiting]) -> None:
        self.look = look
        self.begun = self.committed = self.quarantined = 0
        _ledgers.add(self)

    def start(self) -> None:
        """Create the series at 0."""
        for counter in (_begun, _committed, _quarantined):
            counter.add(0)

    def begin(self, number: int = 1) -> None:
        """So many rows more are owed."""
        self.begun += number
        _begun.add(number)

    def commit(self, number: int) -> None:
        """So many are in the database."""
        self.committed += number
        _committed.add(number)

    def put_aside(self, number: int) -> None:
        """So many are in quarantine."""
        self.quarantined += number
        _quarantined.add(number)

    @property
    def balance(self) -> int:
        """Rows nobody knows of: begun - committed - waiting - quarantined. Anything but 0 is an alarm."""
        return self.begun - self.committed - self.look().rows - self.quarantined

    def steady_balance(self) -> int:
        """The same for other threads: what is on its way during one look has arrived at a later one."""
        for _ in range(LOOKS):
            if not self.balance:
                return 0
            time.sleep(LOOK_SECONDS)
        return self.balance


_ledgers: WeakSet[Ledger] = WeakSet()


def _gauge(name: str, unit: str, said: str, value: Callable[[Ledger], float]) -> None:
    def observe(options: CallbackOptions) -> Iterable[Observation]:
        del options
        return [Observation(value(each)) for each in tuple(_ledgers)[:1]]

    _meter.create_observable_gauge(name, [observe], unit, said)


def age(waiting: Waiting) -> float:
    """Seconds since the oldest entry that is not in the database; 0 where none waits."""
    return (microseconds() - waiting.oldest) / 1_000_000 if waiting.rows and waiting.oldest else 0.0


_gauge(names.AUDIT_JOURNALED, "{row}", "Rows that wait for the database", lambda led: led.look().rows)
_gauge(names.AUDIT_BALANCE, "{row}", "Rows nobody knows of; 0", Ledger.steady_balance)
_gauge(names.AUDIT_OLDEST_AGE, "s", "Age of the oldest row that waits", lambda led: age(led.look()))
_gauge(names.AUDIT_ROWS, "{row}", "Events in the log", lambda led: led.look().log_size)
_gauge(names.AUDIT_BYTES, "By", "Size of the journal", lambda led: led.look().bytes)
_gauge(names.DISK_FREE, "By", "Free space where the journal is", lambda led: led.look().disk_free)
