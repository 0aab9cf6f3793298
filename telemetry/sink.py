"""A sink is somewhere a turn is told. It never stops, slows or changes the turn.

A plug-in: entry-point group `parley.sinks`, chosen by AGENT_SINKS. Ours come by the same door.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import entry_points
from logging import WARNING
from typing import Protocol

from opentelemetry import metrics

from config.settings import Settings
from telemetry import log, names
from telemetry.failure import words_of
from telemetry.record import TurnOpening, TurnRecord

GROUP = "parley.sinks"
_failures = metrics.get_meter(names.SCOPE).create_counter(
    names.SINK_FAILURES, unit="{failure}", description="Calls of a sink that raised, and records it dropped"
)


class Sink(Protocol):
    """What a sink does. It is made with the Settings; both verbs are plain calls and must be quick."""

    def opened(self, opening: TurnOpening) -> None:
        """A turn was admitted and the model is about to be asked."""
        ...

    def closed(self, record: TurnRecord) -> None:
        """A turn is over: told for every turn, refused ones too."""
        ...

    async def start(self) -> None:
        """The service starts; the running loop is the one it will run in."""
        ...

    async def stop(self) -> None:
        """No turn runs any more: write what is left. Has two seconds."""
        ...


Factory = Callable[[Settings], Sink]


class UnknownSink(Exception):
    """AGENT_SINKS names a sink that nobody installed."""


def load(wanted: Iterable[str]) -> dict[str, Factory]:
    """Find sinks by name among the installed entry points.

    Raises:
        UnknownSink: naming what is missing and what is installed.
    """
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if missing := [name for name in wanted if name not in installed]:
        raise UnknownSink(
            f"AGENT_SINKS: no such sink: {', '.join(missing)}; installed: {', '.join(sorted(installed))}"
        )
    return {name: installed[name].load() for name in wanted}


def count_failure(sink: str, number: int = 1) -> None:
    """Count what a sink did not do; 0 creates the series."""
    _failures.add(number, {"sink": sink})


def attempt(name: str, verb: str, work: Callable[..., None], *given: object) -> None:
    """Do a piece of telling; what it raises is counted and logged under this name, and goes no further."""
    try:
        work(*given)
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
        count_failure(name)
        log.say(names.SINK_FAILED, WARNING, sink=name, verb=verb, error=words_of(error))


class Guarded:
    """The one guard at the boundary: what a sink raises is counted and logged, and goes no further."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name, self.sink = name, sink

    def opened(self, opening: TurnOpening) -> None:
        """Tell the sink, whatever it does."""
        attempt(self.name, "opened", self.sink.opened, opening)

    def closed(self, record: TurnRecord) -> None:
        """Tell the sink, whatever it does."""
        attempt(self.name, "closed", self.sink.closed, record)


def guard(sinks: Iterable[tuple[str, Sink]]) -> Sequence[Guarded]:
    """Put each sink behind its guard, its series of failures at 0 from the start."""
    sinks = tuple(sinks)
    for name, _ in sinks:
        count_failure(name, 0)
    return tuple(Guarded(name, sink) for name, sink in sinks)
