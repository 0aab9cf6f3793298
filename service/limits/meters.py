"""What a shared store tells of itself as metrics: whether it is away, and how often that changed.

Refuses a series where no store is shared.
"""

from collections.abc import Sequence
from typing import Protocol
from weakref import WeakSet

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from telemetry import names


class Shared(Protocol):
    """A store that may be away."""

    degraded: bool
    switches: int


_watched: WeakSet[Shared] = WeakSet()


def watch(store: Shared) -> None:
    """Tell of this store as long as it is there."""
    _watched.add(store)


def _degraded(options: CallbackOptions) -> Sequence[Observation]:
    del options
    return [Observation(int(each.degraded)) for each in tuple(_watched)[:1]]


def _switches(options: CallbackOptions) -> Sequence[Observation]:
    del options
    return [Observation(each.switches) for each in tuple(_watched)[:1]]


_meter = metrics.get_meter(names.SCOPE)
_meter.create_observable_gauge(
    names.RATE_LIMIT_DEGRADED, [_degraded], "", "1 while the shared store of limits is away"
)
_meter.create_observable_counter(
    names.RATE_LIMIT_SWITCHES, [_switches], "{switch}", "Times the shared store went away or came back"
)
