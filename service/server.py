"""Runs the house on a port, under our own signals; the only file that knows uvicorn.

On SIGTERM or SIGINT turns are told first: no server tells its open streams.
"""

import asyncio
import contextlib
import gc
import os
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
from telemetry import log, names

EXTRA_SECONDS = 2
"""After the turns' grace, for the last frames to leave."""

Ready = Callable[[House, str], Awaitable[None]]


class Server(uvicorn.Server):
    """uvicorn on a socket of ours, with a word before the end. A second signal ends it at once."""

    def __init__(self, app: Any, address: tuple[str, int], grace: int, on_exit: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # whom to believe about an address is a setting of ours, not a default
                lifespan="off",
                timeout_graceful_shutdown=grace,
            )
        )
        self._on_exit = on_exit
        self._socket = _listen(address)

    @property
    def address(self) -> str:
        """Where it listens, as a URL."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Tell the turns; unlike uvicorn's own, this does not raise the signal again at the end."""
        del sig, frame
        self.force_exit = self.should_exit
        self.should_exit = True
        self._on_exit()

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


def _listen(address: tuple[str, int]) -> socket.socket:
    """Take the address.

    Raises:
        OSError: it cannot be taken; the message is one sentence that names it.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        return socket.create_server(address, family=family, backlog=2048)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise OSError(f"Cannot listen on {address[0]}:{address[1]}: {reason}.") from error


class Quiet(Server):
    """A second server in the same process: it leaves the signals to the first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


async def serve(settings: Settings, root: Secret, ready: Ready) -> None:
    """Serve until a signal; `ready` is called once with the house and its address.

    Raises:
        DatabaseError, UnknownSink, OSError: the service cannot start.
    """
    grace = settings.shutdown_grace_ms // 1000 + EXTRA_SECONDS
    async with _upstream(settings) as base_url, open_house(settings, root, base_url) as house:
        loop = asyncio.get_running_loop()
        server = Server(house.app, (settings.host, settings.port), grace, partial(_tell_turns, loop, house))
        async with server.running():
            await ready(house, server.address)
            log.say(names.SERVICE_STARTED, address=server.address, pid=os.getpid())
            gc.freeze()  # what lives now lives for ever: no collection needs to look at it again
    log.say(names.SERVICE_STOPPED, pid=os.getpid())


async def simulate(host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve the simulator alone, until a signal.

    Raises:
        OSError: the address cannot be taken.
    """
    server = Server(simulator.build(), (host, port), EXTRA_SECONDS, _nothing)
    async with server.running():
        ready(server.address)


_stopping: set[asyncio.Task[None]] = set()


def _tell_turns(loop: asyncio.AbstractEventLoop, house: House) -> None:
    """A signal came: stop the turns, in the loop's own time."""
    loop.call_soon_threadsafe(_stop_turns, house)


def _stop_turns(house: House) -> None:
    task = asyncio.ensure_future(house.turns.stop())
    _stopping.add(task)  # the loop itself keeps only weak references
    task.add_done_callback(_stopping.discard)


def _nothing() -> None:
    """Nobody needs to be told."""


@asynccontextmanager
async def _upstream(settings: Settings) -> AsyncGenerator[str | None]:
    """The model's address: the simulator on a loopback port of its own, or what is set."""
    if not settings.model.simulated:
        yield settings.model.base_url
        return
    server = Quiet(simulator.build(), ("127.0.0.1", 0), EXTRA_SECONDS, _nothing)
    async with server.running():
        try:
            yield server.address
        finally:
            server.should_exit = server.force_exit = True
