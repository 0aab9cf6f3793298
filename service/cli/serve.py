"""parley serve: the service, until Ctrl-C or SIGTERM; SIGHUP has it read its settings again.

Refuses to greet outside development: there it makes no key and tells none.
"""

import argparse
import asyncio
import gc
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from config import Loaded, SettingsError, load
from config.secret import Secret
from config.settings import PROVIDER, Settings
from service.agent.upstream.provided import provider
from service.audit.signing import configured_signer
from service.cli import keys, state
from service.tools.mcp.file import read_servers
from service.workers import Foreman, Seat
from telemetry import log, providers

if TYPE_CHECKING:
    from service.app.leaving import Leave
    from service.app.reload import Read

SIMULATED = "Model: simulator (ANTHROPIC_API_KEY asks a real one; markers: parley simulate --help)"
DEVELOPER, DEVELOPER_ROLE = "dev", "AUDITEE"
HEAD, HEAD_ROLE = "dev-auditor", "AUDIT_HEAD"
MOST_WORKERS = 64
MEMORY = "memory://"
UNSHARED = (
    "AGENT_RATE_LIMIT_STORE: memory:// is one process's own, and each of {} workers would admit the whole "
    "limit; set it to redis://..., which they share, or start one worker"
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = f"{parser.description}; SIGHUP: read the settings again."
    parser.add_argument(
        "--workers", type=_count, default=1, metavar="N", help=f"processes, 1 to {MOST_WORKERS} (%(default)s)"
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Serve, in one process or by several."""
    # held back until somebody hears it: else it would end a service that only starts
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    gc.disable()  # what is loaded now stays; collections begin when all is
    try:
        return _begin(given)
    finally:
        gc.enable()


def _begin(given: argparse.Namespace) -> int:
    state.settle()
    read = partial(_read, given.workers)
    loaded = read()
    settings = loaded.settings
    configured_signer(settings.audit.signing_key)  # before anything starts: a key that is none is refused
    read_servers(settings.mcp_servers, os.environ)  # as the key
    provider(settings.model.provider)  # as the key
    return _share(given.workers, loaded, read) if given.workers > 1 else _work(loaded, read)


def _read(workers: int) -> Loaded:
    """The settings as they are now, for so many workers.

    Raises:
        SettingsError: they are wrong, or several workers would not share their limits.
    """
    loaded = load()
    settings = loaded.settings
    if workers == 1:
        return loaded
    if settings.limits.store == MEMORY:
        raise SettingsError((UNSHARED.format(workers),))
    if loaded.origins["AGENT_REPLICAS"] != "default":
        return loaded
    return replace(loaded, settings=replace(settings, limits=replace(settings.limits, replicas=workers)))


def _share(workers: int, loaded: Loaded, read: "Read") -> int:
    """Be the foreman; in a worker, work."""
    providers.settle(os.environ)  # before what is loaded for all workers reads it
    settings = loaded.settings
    log.start(settings)
    providers.choose_propagators()
    from service import server  # noqa: PLC0415 - costs a second that other commands need not spend
    from service.agent.upstream import sdk  # noqa: PLC0415 - as above
    from service.app.reload import change  # noqa: PLC0415 - as above

    if settings.model.provider == PROVIDER:
        sdk.load()
    held, root = [loaded], state.root(settings)
    listener = server.listen((settings.host, settings.port))
    address = server.address_of(listener)

    def reread() -> None:
        """So that whoever takes another's place has the settings of the others, who tell of them."""
        try:
            held[0] = replace(held[0], settings=change(held[0].settings, read().settings).settings)
        except SettingsError:
            return

    came = Foreman(workers, listener, lambda: _say(f"Ready: {address}"), reread).keep()
    return came if isinstance(came, int) else _work(held[0], read, came, held[0].settings.secret_key or root)


def _work(loaded: Loaded, read: "Read", seat: Seat | None = None, root: Secret | None = None) -> int:
    """Serve; telemetry has two seconds to leave when all is over."""
    settings = loaded.settings
    providers.start(os.environ)
    log.start(settings)
    if seat:
        seat.count_ended()
        providers.hasten()  # it may not last until the next export, and the count is of those that did not
    from service.app.leaving import TELEMETRY, UNSENT, Leave  # noqa: PLC0415 - as the server
    from service.server import loops  # noqa: PLC0415 - as the server

    leave = Leave(settings.shutdown_grace_ms / 1000)
    with asyncio.Runner(loop_factory=loops.factory()) as runner:
        try:
            runner.run(_serve(loaded, root or state.root(settings), read, leave, seat))
            leave.settle()
        finally:
            # before threads are waited for: one that hangs keeps nothing
            if not providers.stop(leave.within(TELEMETRY)):
                sys.stderr.write(UNSENT)
    return 0


async def _serve(loaded: Loaded, root: Secret, read: "Read", leave: "Leave", seat: Seat | None) -> None:
    # costs a second that other commands need not spend
    from service import server  # noqa: PLC0415 - as above

    async def ready(house: server.House, address: str) -> None:
        if seat is None or seat.greets:
            await _greet(loaded.settings, house, address)
        if seat is None:
            _say(f"Ready: {address}")
        else:
            seat.say_ready()

    await server.serve(loaded, root, ready, read, leave, seat)


async def _greet(settings: Settings, house: Any, address: str) -> None:
    from service.web import console  # noqa: PLC0415 - as the server

    if settings.model.simulated:
        _say(SIMULATED)
    if settings.environment == "development":
        key = await keys.keep_development_key(house, state.folder(settings), DEVELOPER, DEVELOPER_ROLE)
        _say(f"API key: {key}")
        _say(f"Console: {console.link(address, house.sessions.invite(HEAD, HEAD_ROLE))}")


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_WORKERS):
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {MOST_WORKERS}")
    return int(text)
