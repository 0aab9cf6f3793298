"""Runs the house on a port, under our own signals; the only file that knows uvicorn.

On SIGTERM or SIGINT turns are told first: no server tells its open streams. On SIGHUP settings are read
again.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from config.secret import Secret
from config.settings import Settings
from service import simulator
from service.app import House, open_house
from service.app.reload import Read
from service.workers import Seat, deaf, terminal
from telemetry import log, names

BACKLOG = 2048
"""Connections that wait to be accepted."""
EXTRA_SECONDS = 2
"""After the turns' grace, for the last frames to leave."""

Ready = Callable[[House, str], Awaitable[None]]
OnExit = Callable[[bool], None]
"""Hears that the end has come, and whether it is to be at once."""


class Server(uvicorn.Server):
    """uvicorn on a socket of ours, with a word before the end. A second signal ends it at once."""

    accepts = BACKLOG
    """Connections that are taken at one time."""

    def __init__(self, app: Any, listener: socket.socket, grace: int, on_exit: OnExit) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # whom to believe about an address is a setting of ours, not a default
                lifespan="off",
                backlog=self.accepts,
                timeout_graceful_shutdown=grace,
            )
        )
        self._on_exit = on_exit
        self._socket = listener

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Tell the turns; unlike uvicorn's own, this does not raise the signal again at the end."""
        del sig, frame
        self.end(self.should_exit)

    def end(self, at_once: bool) -> None:  # noqa: FBT001 - one word from the foreman
        """Tell the turns, and stop when they are over, or at once."""
        self.force_exit = self.force_exit or at_once
        self.should_exit = True
        self._on_exit(self.force_exit)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Accept requests from here on; leaving the block waits for the end."""
        task = asyncio.create_task(self.serve([self._socket]), name="server")
        try:
            yield
            await task
        finally:
            self.should_exit = self.force_exit = True
            await task


class WorkingServer(Server):
    """One of several on one socket; the foreman stops it, or SIGTERM, which may come more than once."""

    accepts = 1  # whoever takes all that wait would have them all: the others shall have theirs

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept; asyncio has made the socket's own queue as short as what is taken at one time."""
        await super().startup(sockets)
        self._socket.listen(BACKLOG)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in order; only the foreman knows when it is to be at once."""
        del sig, frame
        self.end(False)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Hear SIGTERM; whatever else there is, the foreman hears."""
        signal.signal(signal.SIGTERM, self.handle_exit)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, deaf)  # what is left to do is not to be cut short


def address_of(listener: socket.socket) -> str:
    """Where it listens, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(address: tuple[str, int]) -> socket.socket:
    """Take the address.

    Raises:
        OSError: it cannot be taken; the message is one sentence that names it.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise OSError(f"Cannot listen on {address[0]}:{address[1]}: {reason}.") from error


class Quiet(Server):
    """A second server in the same process: it leaves the signals to the first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


async def serve(settings: Settings, root: Secret, ready: Ready, read: Read, seat: Seat | None = None) -> None:
    """Serve until a signal; `ready` is called once with the house and its address, `read` on SIGHUP.

    With a seat as one of several, on its socket and until the foreman says so.

    Raises:
        DatabaseError, UnknownSink, OSError: the service cannot start.
    """
    grace = settings.shutdown_grace_ms // 1000 + EXTRA_SECONDS
    async with _upstream(settings) as base_url, open_house(settings, root, base_url) as house:
        tell, listener = partial(_tell_turns, asyncio.get_running_loop(), house), _listener(settings, seat)
        server = (WorkingServer if seat else Server)(house.app, listener, grace, tell)
        address = address_of(listener)
        async with server.running():
            _obey(server, partial(house.reload, read), seat)
            await ready(house, address)
            log.say(names.SERVICE_STARTED, address=address, pid=os.getpid())
            gc.freeze()  # what lives now lives for ever: no collection needs to look at it again
    log.say(names.SERVICE_STOPPED, pid=os.getpid())


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
    server = Server(simulator.build(), listener, EXTRA_SECONDS, _nothing)
    async with server.running():
        ready(address_of(listener))


_stopping: set[asyncio.Task[None]] = set()


def _tell_turns(loop: asyncio.AbstractEventLoop, house: House, at_once: bool) -> None:  # noqa: FBT001 - an OnExit
    """A signal came: stop the turns, in the loop's own time."""
    loop.call_soon_threadsafe(_stop_turns, house, at_once)


def _stop_turns(house: House, at_once: bool) -> None:  # noqa: FBT001 - as above
    task = asyncio.ensure_future(house.turns.stop())
    _stopping.add(task)  # the loop itself keeps only weak references
    task.add_done_callback(_stopping.discard)
    if at_once:
        house.turns.hurry()


def _nothing(at_once: bool) -> None:  # noqa: FBT001 - as above
    """Nobody needs to be told."""
    del at_once


@asynccontextmanager
async def _upstream(settings: Settings) -> AsyncGenerator[str | None]:
    """The model's address: the simulator on a loopback port of its own, or what is set."""
    if not settings.model.simulated:
        yield settings.model.base_url
        return
    listener = listen(("127.0.0.1", 0))
    server = Quiet(simulator.build(), listener, EXTRA_SECONDS, _nothing)
    async with server.running():
        try:
            yield address_of(listener)
        finally:
            server.should_exit = server.force_exit = True
