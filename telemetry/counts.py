"""Sums that are added up here, and told whenever metrics are collected: to count costs a look into a table.

Refuses exemplars: whoever wants to come from a number to a trace starts at a histogram, or at an error.
"""

import os
from collections.abc import Mapping, Sequence
from threading import Lock
from types import MappingProxyType
from typing import Any

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from telemetry import names

UNLABELLED: Mapping[str, Any] = MappingProxyType({})


class Count:
    """One instrument: a counter, or with `falls` one that may go down too; safe from any thread.

    A process that is forked off starts at nothing: what was counted before is told by its parent.
    """

    def __init__(self, name: str, unit: str, said: str, *, falls: bool = False) -> None:
        meter = metrics.get_meter(names.SCOPE)
        make = meter.create_observable_up_down_counter if falls else meter.create_observable_counter
        make(name, [self._told], unit, said)
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def add(self, value: float, labels: Mapping[str, Any] = UNLABELLED) -> None:
        """Add to one series; 0 makes it."""
        series = frozenset(labels.items())
        with self._lock:
            self._sums[series] = self._sums.get(series, 0) + value

    def _begin(self) -> None:
        self._lock, self._sums = Lock(), dict[frozenset[tuple[str, Any]], float]()

    def _told(self, options: CallbackOptions) -> Sequence[Observation]:
        del options
        with self._lock:
            sums = tuple(self._sums.items())
        return [Observation(value, dict(series)) for series, value in sums]
