"""Drops a client that takes nothing of its answer for too long: the server itself would wait for ever.

Refuses to drop one that is only slow: whoever took any byte has all the time again.
"""

import asyncio
import socket
import struct
from typing import Any, Protocol

from litestar.types import ASGIApp, Message, Receive, Send

WIRE = "parley.wire"
"""Where a request's scope has its connection; nowhere under a server that is not ours."""
AT_ONCE = struct.pack("ii", 1, 0)
"""A socket that lingers, for no time."""
LOOKS = 4
"""Looks at a client before it is dropped; the first in which nothing moved begins the wait."""


class Wire(Protocol):
    """A connection, as asyncio has it."""

    def get_write_buffer_size(self) -> int:
        """Bytes that the client has not taken yet, nor the system for it."""
        ...

    def abort(self) -> None:
        """Close it at once; what is not taken is lost."""
        ...

    def get_extra_info(self, name: str) -> Any:
        """Its `socket`."""
        ...


def impatient(app: ASGIApp, seconds: float) -> ASGIApp:
    """Wrap an application: a client that takes nothing for so many seconds is gone for it."""

    async def answer(scope: Any, receive: Receive, send: Send) -> None:
        wire: Wire | None = scope.get(WIRE)
        await app(scope, receive, _Watched(send, wire, seconds).send if wire else send)

    return answer


class _Watched:
    """Sends, and looks after each message whether the ones before it move."""

    def __init__(self, send: Send, wire: Wire, seconds: float) -> None:
        self._send, self._wire, self._pause = send, wire, seconds / LOOKS
        self._looking: asyncio.TimerHandle | None = None
        self._left = self._still = 0

    async def send(self, message: Message) -> None:
        """Send; where the client takes nothing, this ends with the connection, as if the client had left."""
        if self._looking is None and self._wire.get_write_buffer_size():
            self._begin()
        await self._send(message)
        if self._looking is None and self._wire.get_write_buffer_size():
            self._begin()

    def _begin(self) -> None:
        self._left, self._still = self._wire.get_write_buffer_size(), 0
        self._later()

    def _later(self) -> None:
        # in slices: a loop that was late itself has seen nothing of the client
        self._looking = asyncio.get_running_loop().call_later(self._pause, self._look)

    def _look(self) -> None:
        """Look whether less is left than was; more may be, while messages are added."""
        self._looking = None
        left = self._wire.get_write_buffer_size()
        if not left:
            return
        self._still = self._still + 1 if left >= self._left else 0
        self._left = left
        if self._still == LOOKS:
            _abort(self._wire)
        else:
            self._later()


def _abort(wire: Wire) -> None:
    """End a connection with all that waits in the system for it, which would else be kept for minutes."""
    if end := wire.get_extra_info("socket"):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    wire.abort()
