"""What the models' breakers tell of themselves as metrics.

Refuses a series of a model that is not in AGENT_MODELS.
"""

from collections.abc import Sequence
from weakref import WeakSet

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from service.agent.upstream.guard import Guards
from telemetry import names

_watched: WeakSet[Guards] = WeakSet()


def watch(guards: Guards) -> None:
    """Tell of these as long as they are there."""
    _watched.add(guards)


def _shut(options: CallbackOptions) -> Sequence[Observation]:
    del options
    return [
        Observation(int(shut), {"model": model})
        for guards in tuple(_watched)[:1]
        for model, shut in guards.states().items()
    ]


metrics.get_meter(names.SCOPE).create_observable_gauge(
    names.MODEL_SHUT, [_shut], "", "1 while a model fails too often and is left alone"
)
