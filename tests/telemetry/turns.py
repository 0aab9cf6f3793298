"""A recorder with sinks that remember, and a judge that knows two exceptions."""

from collections.abc import Callable

from telemetry.failure import Code, Failure, words_of
from telemetry.record import Ending, Outcome
from telemetry.recorder import Recorder
from telemetry.sink import Sink, guard
from telemetry.testing import MemorySink

ROUTE = "POST /api/v1/agent/chat"


class Gone(Exception):
    """The client left."""


class Late(Exception):
    """The deadline passed."""


class Refused(Exception):
    """Nobody may."""


KNOWN = {Late: (Outcome.TIMED_OUT, Code.TURN_TIMEOUT), Refused: (Outcome.REFUSED, Code.FORBIDDEN)}


def judge(error: BaseException) -> Ending:
    if isinstance(error, Gone):
        return Ending(Outcome.CLIENT_GONE)
    outcome, code = KNOWN.get(type(error), (Outcome.FAILED, Code.INTERNAL))
    return Ending(outcome, Failure(code=code, error=words_of(error)))


class Ticks:
    """A clock that moves a second each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


class BrokenSink(MemorySink):
    """Remembers what it was told, then raises."""

    def opened(self, opening) -> None:
        super().opened(opening)
        raise RuntimeError("no room")

    def closed(self, record) -> None:
        super().closed(record)
        raise RuntimeError("no room")


def recorder(*sinks: Sink, clock: Callable[[], float] | None = None, content: bool = False) -> Recorder:
    named = [(f"sink-{number}", sink) for number, sink in enumerate(sinks)]
    return Recorder(guard(named), judge, clock or Ticks(), content=content)
