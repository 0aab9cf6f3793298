"""The model as a dependency: told by what the turns met last, for asking it would cost money.

Refuses to take a caller's mistake for the model's: a wrong request says nothing about who refused it.
"""

import time
from collections.abc import Callable

from service.web.health import Dependency
from telemetry.failure import Code
from telemetry.record import ModelCall, TurnOpening, TurnRecord

AWAY = {
    Code.UPSTREAM_UNREACHABLE,
    Code.UPSTREAM_TIMEOUT,
    Code.UPSTREAM_OVERLOADED,
    Code.UPSTREAM_RATE_LIMITED,
    Code.UPSTREAM_ERROR,
}
ASKED_WRONG = {400, 413, 422}
"""Statuses of the model's API that are about the request."""


class ModelWatch:
    """A sink that remembers the last model call. `who` says what is asked: the simulator or an API."""

    def __init__(self, who: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._who, self._clock = who, clock
        self._last: tuple[float, Code | None] | None = None

    def opened(self, opening: TurnOpening) -> None:
        """Nothing: the model was not asked yet."""

    def closed(self, record: TurnRecord) -> None:
        """Remember how the turn's last call went, where that says anything of the model."""
        call = record.model_calls[-1] if record.model_calls else None
        if call and _tells(call):
            self._last = self._clock(), call.failure.code if call.failure else None

    async def start(self) -> None:
        """Nothing: there is nobody to ask."""

    async def stop(self) -> None:
        """Nothing: it is only memory."""

    async def look(self) -> Dependency:
        """How the model is, as far as anybody knows."""
        if self._last is None:
            return Dependency("up", f"{self._who}; not asked yet")
        at, code = self._last
        ago = f"{self._clock() - at:.0f} s ago"
        if code is None:
            return Dependency("up", f"{self._who}; answered {ago}")
        return Dependency("degraded", f"{self._who}; {code.value} {ago}")


def _tells(call: ModelCall) -> bool:
    """Whether a call says how the model is: it answered, or it was away; not where the client was."""
    if call.failure is None:
        return call.first_chunk_seconds is not None
    asked_wrong = bool(call.attempts) and call.attempts[-1].status in ASKED_WRONG
    return call.failure.code in AWAY and not asked_wrong
