"""uvicorn on a socket of ours, under our own signals: alone, as one of several, or beside another.

Refuses to stop before it is told that the turns are over: until then it accepts, and says that it ends.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import uvicorn

from service.server.connection import connections_in
from service.server.hall import Hall
from service.workers import deaf

BACKLOG = 2048
"""Connections that wait to be accepted."""
UNBOUND = 1 << 20
"""Connections, where nobody says how many there may be."""
EXTRA_SECONDS = 0.5
"""After the turns, for the last frames to leave."""

OnExit = Callable[[bool, Callable[[], None]], None]
"""Hears that the end has come, and whether it is to be at once; is given what ends the server."""


class Server(uvicorn.Server):
    """uvicorn with a word before the end; a second signal asks for it at once."""

    accepts = BACKLOG
    """Connections that are taken at one time."""

    def __init__(
        self,
        app: Any,
        listener: socket.socket,
        on_exit: OnExit,
        protocol: type[asyncio.Protocol] | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol or connections_in(Hall(UNBOUND, bool)),
                ws="none",
                log_config=None,
                server_header=False,
                proxy_headers=False,  # whom to believe about an address is a setting of ours, not a default
                lifespan="off",
                backlog=self.accepts,
                timeout_graceful_shutdown=EXTRA_SECONDS,  # pyright: ignore[reportArgumentType] - less than a second is possible
            )
        )
        self._on_exit, self._told = on_exit, False
        self._socket = listener

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Have it end; unlike uvicorn's own, this does not raise the signal again at the end."""
        del sig, frame
        self.end(self._told)

    def end(self, at_once: bool) -> None:  # noqa: FBT001 - one word from the foreman
        """Tell the turns, and stop when they are over."""
        self._told = True
        self._on_exit(at_once, self.finish)

    def finish(self) -> None:
        """Stop: nothing more is to be answered."""
        self.should_exit = True

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
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in order, and leave new connections to the others; only the foreman knows when at once."""
        del sig, frame
        self._loop.call_soon_threadsafe(self._turn_away)
        self.end(False)

    def _turn_away(self) -> None:
        for server in self.servers:
            server.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Hear SIGTERM; whatever else there is, the foreman hears."""
        signal.signal(signal.SIGTERM, self.handle_exit)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, deaf)  # what is left to do is not to be cut short


class Quiet(Server):
    """A second server in the same process: it leaves the signals to the first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


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
        listener = socket.create_server(address, family=family, backlog=BACKLOG)
        # Connections inherit it; asyncio sets it only where a socket was made with its protocol's number. An
        # answer is a head and a body: the body would wait up to 40 ms until the head is acknowledged.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise OSError(f"Cannot listen on {address[0]}:{address[1]}: {reason}.") from error
    return listener
