"""A comment after each silence of a stream, so that nobody on the way takes it for dead.

Refuses to say anything once the stream's block is left.
"""

import asyncio
from typing import Self

from service.web import sse
from service.web.reply import Reply


class Heartbeat:
    """Beats for as long as its block lasts; `seconds` are what a silence takes. One timer for all events."""

    def __init__(self, reply: Reply, seconds: float) -> None:
        self._reply, self._seconds = reply, seconds
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._beat: asyncio.Task[None] | None = None
        self._since = 0.0

    def __enter__(self) -> Self:
        self.said()
        self._wait(self._seconds)
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._timer, self._beat):
            if each:
                each.cancel()

    def said(self) -> None:
        """Something was said: the silence begins anew."""
        self._since = self._loop.time()

    def _wait(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        left = self._since + self._seconds - self._loop.time()
        if left <= 0 and (self._beat is None or self._beat.done()):
            self._beat = self._loop.create_task(self._reply.more(sse.COMMENT), name="heartbeat")
            self.said()
        self._wait(left if left > 0 else self._seconds)
