"""Asks a model again while that can help and harm nobody: nothing was heard, no tool ran, it is not down.

Refuses a wait that would end after the turn does: a longer Retry-After is the client's to know.
"""

import asyncio
import random
from collections.abc import Callable

from msgspec import Struct

from service.agent.model import Hear, Model, Prompt, Reply
from service.agent.upstream.guard import Guard
from service.errors import UpstreamError, classify
from telemetry.record import Attempt
from telemetry.recorder import OpenModelCall

ATTEMPTS = 3
BASE = 0.5
"""Seconds; the n-th wait is random between 0 and BASE * 2**n (full jitter)."""


class Chances(Struct, frozen=True, kw_only=True):
    """Whether a call may be made again: `again` by what the turn did before, `left` are its seconds."""

    again: bool
    left: Callable[[], float]
    guard: Guard

    def wait(self, error: UpstreamError, number: int) -> float | None:
        """Seconds to wait after the attempt of this number, from 0; None where there is to be no other."""
        if number == ATTEMPTS - 1 or not self.again:
            return None
        seconds = patience(error, number)
        return seconds if seconds is not None and seconds < self.left() and self.guard.again() else None


async def ask(model: Model, prompt: Prompt, hear: Hear, call: OpenModelCall, chances: Chances) -> Reply:
    """Ask, and where nothing was heard and the chances allow it up to ATTEMPTS times; each one is recorded.

    Raises:
        UpstreamError: of the last attempt, or because it is not asked now.
    """
    for number in range(ATTEMPTS):
        chances.guard.check()
        try:
            with chances.guard.asking():
                reply = await model.ask(prompt, hear)
        except UpstreamError as error:
            wait = None if call.heard else chances.wait(error, number)
            call.attempted(_attempt(error, wait or 0.0))
            if wait is None:
                raise
            await asyncio.sleep(wait)
        except BaseException:  # the turn ended first; the request was made all the same
            call.attempted(Attempt(status=200 if call.answers else None))
            raise
        else:
            call.attempted(Attempt(status=200, request_id=reply.request_id))
            return reply
    raise AssertionError  # the last attempt returns or raises


def patience(error: UpstreamError, number: int) -> float | None:
    """Seconds to wait after the attempt of this number, from 0; None where another makes no sense."""
    if not error.transient:
        return None
    if error.retry_after_ms is not None:
        return error.retry_after_ms / 1000
    return random.uniform(0, BASE * 2**number)  # noqa: S311 - spreads load, guards nothing


def _attempt(error: UpstreamError, wait: float) -> Attempt:
    return Attempt(
        status=error.status, request_id=error.request_id, waited_seconds=wait, failure=classify(error)
    )
