"""Serves the house until a signal: turns are told first, since no server tells its open streams.

Refuses to take longer for the end than the grace and a second. On SIGHUP settings are read again.
"""

import asyncio
import gc
import os
import resource
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from config import Loaded
from config.secret import Secret
from config.settings import Settings
from service import simulator
from service.agent.turns import Turns
from service.app import House, open_house
from service.app.leaving import Leave
from service.app.reload import Read
from service.server.connection import SPARE, connections_in
from service.server.hall import Hall
from service.server.servers import Quiet, Server, WorkingServer, address_of, listen
from service.workers import Seat, terminal
from telemetry import log, names

Ready = Callable[[House, str], Awaitable[None]]
THRESHOLDS = (10_000, 10, 20)
"""Of Python's collections: a turn's objects are freed without one, so that most of them look for nothing."""
OTHER_FILES = 128
"""Descriptors for what is no connection of a client: database, journal, the model's API, Redis."""


class Ending:
    """The end, as signals ask for it: first the turns, then the server."""

    def __init__(self, turns: Turns, leave: Leave) -> None:
        self._turns, self._leave, self._loop = turns, leave, asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    def __call__(self, at_once: bool, finish: Callable[[], None]) -> None:  # noqa: FBT001 - an OnExit
        """A signal came; what is to be done is done in the loop's own time."""
        self._leave.begin(at_once=at_once)
        self._loop.call_soon_threadsafe(self._begin, at_once, finish)

    def _begin(self, at_once: bool, finish: Callable[[], None]) -> None:  # noqa: FBT001 - as above
        self._task = self._task or asyncio.create_task(self._end(finish), name="ending")
        if at_once:
            self._turns.hurry()

    async def _end(self, finish: Callable[[], None]) -> None:
        try:
            await self._turns.stop()
        finally:
            finish()


async def serve(
    loaded: Loaded, root: Secret, ready: Ready, read: Read, leave: Leave, seat: Seat | None = None
) -> None:
    """Serve until a signal; `ready` is called once with the house and its address, `read` on SIGHUP.

    With a seat as one of several, on its socket and until the foreman says so.

    Raises:
        DatabaseError, UnknownSink, OSError: the service cannot start.
    """
    settings = loaded.settings
    async with _upstream(settings) as base_url, open_house(loaded, root, base_url, leave) as house:
        listener, turns = _listener(settings, seat), house.turns
        stall = settings.streams.stall_ms / 1000
        hall = Hall(_connections(settings.max_connections), lambda: turns.leaving, stall)
        kind = WorkingServer if seat else Server
        server = kind(house.app, listener, Ending(turns, leave), connections_in(hall))
        address = address_of(listener)
        async with server.running():
            _obey(server, partial(house.reload, read), seat)
            await ready(house, address)
            log.say(names.SERVICE_STARTED, address=address, pid=os.getpid())
            settled()
    log.say(names.SERVICE_STOPPED, pid=os.getpid())


def settled() -> None:
    """What lives now lives for ever: no collection needs to look at it again, nor to come as often.

    None needs to come before that at all: who starts the service may have turned them off.
    """
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()


def _connections(wanted: int) -> int:
    """How many connections there may be: as many as are wanted, and as the system gives descriptors for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * wanted + SPARE + OTHER_FILES  # a turn may have one to the model's API as well
    soft = max(soft, needed) if hard == resource.RLIM_INFINITY else min(max(soft, needed), hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(wanted, (soft - SPARE - OTHER_FILES) // 2))


def _listener(settings: Settings, seat: Seat | None) -> socket.socket:
    return seat.listener if seat else listen((settings.host, settings.port))


def _obey(server: Server, reload: Callable[[], None], seat: Seat | None) -> None:
    """Hear the foreman; without one hear SIGHUP, which was held back until now."""
    if seat:
        seat.obey(server.end, reload)
        return
    gone = terminal()

    def hang_up() -> None:
        if gone():
            server.end(False)
        else:
            reload()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hang_up)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


async def simulate(host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve the simulator alone, until a signal.

    Raises:
        OSError: the address cannot be taken.
    """
    listener = listen((host, port))
    server = Server(simulator.build(), listener, _finish)
    async with server.running():
        ready(address_of(listener))


def _finish(at_once: bool, finish: Callable[[], None]) -> None:  # noqa: FBT001 - an OnExit
    """Nobody needs to be told."""
    del at_once
    finish()


@asynccontextmanager
async def _upstream(settings: Settings) -> AsyncGenerator[str | None]:
    """The model's address: the simulator on a loopback port of its own, or what is set."""
    if not settings.model.simulated:
        yield settings.model.base_url
        return
    listener = listen(("127.0.0.1", 0))
    server = Quiet(simulator.build(), listener, _finish)
    async with server.running():
        try:
            yield address_of(listener)
        finally:
            server.should_exit = server.force_exit = True
