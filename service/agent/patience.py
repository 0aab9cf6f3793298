"""Asks the model again while that can help and harm nobody: nothing was heard, no tool ran.

Refuses to wait longer than MAX_WAIT for anybody: a longer Retry-After is the client's to know.
"""

import asyncio
import random

from service.agent.model import Hear, Model, Prompt, Reply
from service.errors import UpstreamError, classify
from telemetry.record import Attempt
from telemetry.recorder import OpenModelCall

ATTEMPTS = 3
BASE = 0.5
"""Seconds; the n-th wait is random between 0 and BASE * 2**n (full jitter)."""
MAX_WAIT = 20.0
"""Seconds."""


async def ask(model: Model, prompt: Prompt, hear: Hear, call: OpenModelCall, *, again: bool) -> Reply:
    """Ask, and where `again` allows it and nothing was heard, up to ATTEMPTS times; each one is recorded.

    Raises:
        UpstreamError: of the last attempt.
    """
    for number in range(ATTEMPTS):
        try:
            reply = await model.ask(prompt, hear)
        except UpstreamError as error:
            last = number == ATTEMPTS - 1 or call.heard or not again
            wait = None if last else patience(error, number)
            call.attempted(_attempt(error, wait or 0.0))
            if wait is None:
                raise
            await asyncio.sleep(wait)
        except BaseException:  # the turn ended first; the request was made all the same
            call.attempted(Attempt(status=200 if call.call.response_id else None))
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
        seconds = error.retry_after_ms / 1000
        return seconds if seconds <= MAX_WAIT else None
    return random.uniform(0, BASE * 2**number)  # noqa: S311 - spreads load, guards nothing


def _attempt(error: UpstreamError, wait: float) -> Attempt:
    return Attempt(
        status=error.status, request_id=error.request_id, waited_seconds=wait, failure=classify(error)
    )
