"""All connections of a server: how many there may be, which wait for nothing, and one look at all of them.

Refuses a timer for each of them: deadlines are moments that a connection keeps, and one look now and then
closes those whose moment is over, and those whose client takes nothing of its answer.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Protocol

PACE = 0.25
"""Seconds between two looks: by so much a deadline may be late."""
AT_ONCE = struct.pack("ii", 1, 0)
"""A socket that lingers, for no time."""
LOOKS = 4
"""Looks at a client that takes nothing before it is dropped; the first one begins the wait."""


class Guest(Protocol):
    """A connection, as the hall needs it."""

    transport: asyncio.Transport

    def close(self) -> None:
        """Close it, where nothing is under way."""
        ...

    def heed(self, now: float) -> None:
        """Do what is due by now, the loop's clock."""
        ...


class Stillness:
    """How long a client takes nothing of what waits for it."""

    __slots__ = ("_left", "_next", "_still")

    def __init__(self, left: int, following: float) -> None:
        self._left, self._still, self._next = left, 0, following

    def lasts(self, left: int, now: float, pause: float) -> bool:
        """Whether it has been too long; more may be left, while messages are added."""
        if now < self._next:
            return False
        # in slices: a loop that was late itself has seen nothing of the client
        self._still = self._still + 1 if left >= self._left else 0
        self._left, self._next = left, now + pause
        return self._still == LOOKS


class Hall:
    """All connections of a server.

    Args:
        most: Bound.
        closing: Whether the service is about to end, so that answers say that their connection does.
        stall: Seconds after which a client that takes nothing is dropped.
        pace: Seconds between two looks.
    """

    def __init__(
        self, most: int, closing: Callable[[], bool], stall: float = 30.0, pace: float = PACE
    ) -> None:
        self.most, self.closing = most, closing
        self._pause, self._pace = stall / LOOKS, min(pace, stall / LOOKS / 2)
        self.idle: dict[Guest, None] = {}
        self._guests: dict[Guest, Stillness | None] = {}
        self._looking: asyncio.TimerHandle | None = None
        self._said: object = None
        self._greeting: Sequence[bytes] = ()

    def enter(self, guest: Guest) -> None:
        """One more is there."""
        self._guests[guest] = None
        self._begin()

    def leave(self, guest: Guest) -> None:
        """It is gone."""
        self.idle.pop(guest, None)
        self._guests.pop(guest, None)
        if self._looking and not self._guests:
            self._looking.cancel()
            self._looking = None

    def full(self, connections: int) -> bool:
        """Whether there are too many; one that idles makes way first, the one that has for longest."""
        if connections > self.most and self.idle:
            next(iter(self.idle)).close()
            connections -= 1
        return connections > self.most

    def greeting(self, headers: Sequence[tuple[bytes, bytes]]) -> Sequence[bytes]:
        """Headers that every answer has, as lines; they are others once a second."""
        if headers is not self._said:
            self._said, self._greeting = headers, [b"%s: %s\r\n" % each for each in headers]
        return self._greeting

    def _begin(self) -> None:
        if not self._looking:
            self._looking = asyncio.get_running_loop().call_later(self._pace, self._look)

    def _look(self) -> None:
        self._looking, now = None, asyncio.get_running_loop().time()
        for guest, stillness in list(self._guests.items()):
            left = guest.transport.get_write_buffer_size()
            if left:
                self._wait(guest, stillness, left, now)
            elif stillness:
                self._guests[guest] = None
            guest.heed(now)
        if self._guests:
            self._begin()

    def _wait(self, guest: Guest, stillness: Stillness | None, left: int, now: float) -> None:
        if stillness is None:
            self._guests[guest] = Stillness(left, now + self._pause)
        elif stillness.lasts(left, now, self._pause):
            drop(guest.transport)


def drop(transport: asyncio.Transport) -> None:
    """End a connection with all that waits in the system for it, which would else be kept for minutes."""
    if end := transport.get_extra_info("socket"):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    transport.abort()
