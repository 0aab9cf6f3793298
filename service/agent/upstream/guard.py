"""What stands before each model's API: whether it is asked now, and whether once more.

Refuses at once where it would fail anyway. Knows no other process: each finds out by itself.
"""

import math
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from logging import INFO, WARNING

from service.agent.upstream.breaker import Breaker, Clock
from service.agent.upstream.retries import Retries
from service.errors import (
    SERVER_ERROR,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from telemetry import log, names

AWAY = (UpstreamUnreachable, UpstreamTimeout)
CALLERS_FAULT = 400


class Guard:
    """Of one model."""

    def __init__(self, model: str, clock: Clock = time.monotonic) -> None:
        self._model, self.breaker, self.retries = model, Breaker(clock), Retries(clock)

    def check(self) -> None:
        """See whether it is asked now.

        Raises:
            UpstreamOverloaded, UpstreamUnreachable: it failed too often lately, and is not.
        """
        cause, seconds = self.breaker.cause, self.breaker.seconds
        if cause is None or not seconds:
            return
        kind = UpstreamUnreachable if isinstance(cause, AWAY) else UpstreamOverloaded
        raise kind(
            "The model's API failed too often just before and is left alone for a moment.",
            retry_after_ms=math.ceil(seconds * 1000),
        )

    @contextmanager
    def asking(self) -> Generator[None]:
        """Ask once within the block, right after the check, and learn from how that ends."""
        was_open, probe = self.breaker.open, self.breaker.enter()
        try:
            yield
        except UpstreamError as error:
            self.breaker.leave(error if _away(error) else None, probe=probe, says=_says(error))
            raise
        except BaseException:  # the turn ended first: nobody knows
            self.breaker.leave(None, probe=probe, says=False)
            raise
        else:
            self.breaker.leave(None, probe=probe)
            self.retries.answered()
        finally:
            self._tell(was_open=was_open)

    def again(self) -> bool:
        """Whether it may be asked once more; takes one of the retries."""
        return not self.breaker.open and self.retries.take()

    def _tell(self, *, was_open: bool) -> None:
        cause = self.breaker.cause
        if cause and not was_open:
            said = {
                "code": cause.code.value,
                "status": cause.status,
                "seconds": round(self.breaker.seconds, 1),
            }
            log.say(names.BREAKER_OPENED, WARNING, model=self._model, **said)
        elif was_open and not cause:
            log.say(names.BREAKER_CLOSED, INFO, model=self._model)


class Unguarded(Guard):
    """Of a model that is asked whatever it answered before, and repeated as often as it may help."""

    @contextmanager
    def asking(self) -> Generator[None]:
        """Ask."""
        yield

    def again(self) -> bool:
        """Say yes."""
        return True


class Guards:
    """One for each model that was asked: the vendor's models fail one by one."""

    def __init__(self, models: Iterable[str] = (), *, on: bool = True, clock: Clock = time.monotonic) -> None:
        self._kind: type[Guard] = Guard if on else Unguarded
        self._clock = clock
        self._of = {model: self._kind(model, clock) for model in models}

    def of(self, model: str) -> Guard:
        """The model's."""
        if model not in self._of:
            self._of[model] = self._kind(model, self._clock)
        return self._of[model]

    def states(self) -> Mapping[str, bool]:
        """Whether each model is left alone."""
        return {model: guard.breaker.open for model, guard in self._of.items()}


def _away(error: UpstreamError) -> bool:
    """Whether an error is of the API's own kind: it could not, whoever had asked."""
    if isinstance(error, UpstreamRateLimited):
        return False
    own = isinstance(error, (*AWAY, UpstreamOverloaded)) or (error.status or 0) >= SERVER_ERROR
    return own or (error.transient and error.status not in range(CALLERS_FAULT, SERVER_ERROR))


def _says(error: UpstreamError) -> bool:
    """Whether an error says how the API is: one that refused a request works."""
    refused = (error.status or 0) >= CALLERS_FAULT and not isinstance(error, UpstreamRateLimited)
    return _away(error) or refused
