"""An MCP server that is a program of this machine: JSON-RPC by the line over its stdin and stdout.

Refuses to hold a message without end, as the transport of `mcp` would; to outlive us by the program; and to
let what it writes to stderr reach anybody but who asked for debug lines.
"""

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from logging import DEBUG
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio

from service.tools.mcp.file import Server
from telemetry import log, names

if TYPE_CHECKING:
    from mcp.shared.message import SessionMessage

MESSAGE_BYTES = 4 * 1_048_576
"""The longest message that is taken from a server, on any transport."""

NONSENSE = 100
"""Lines in a row that are no JSON-RPC: some programs print a greeting, none prints so many."""

KEPT = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
"""What a program inherits; our own environment holds keys that are none of its business."""

LINE = 1_000
LEASH = str(Path(__file__).with_name("leash.py"))
STEP = 0.01
END_SECONDS = 2.0
"""How long a program has to end once its stdin is closed, and again once it was told to."""


class Unstartable(Exception):
    """The program cannot be started; the words are safe to tell."""


class Garbled(Exception):
    """What a server sends is not MCP; the words are safe to tell."""


class Lines:
    """What a program says, message by message; what is no message is left out."""

    def __init__(self, process: Process, parse: Callable[[bytes], "SessionMessage"]) -> None:
        self._process, self._parse, self._nonsense = process, parse, 0

    async def receive(self) -> "SessionMessage | Exception":
        """The next message."""
        stdout = self._process.stdout
        while stdout is not None and self._nonsense < NONSENSE:
            try:
                line = await stdout.readuntil(b"\n")
            except (asyncio.IncompleteReadError, OSError):
                raise anyio.EndOfStream from None
            except asyncio.LimitOverrunError:
                raise Garbled(f"it sent a message longer than {MESSAGE_BYTES} bytes") from None
            try:
                message = self._parse(line)
            except ValueError:
                self._nonsense += 1
            else:
                self._nonsense = 0
                return message
        raise Garbled(f"it sent {NONSENSE} lines that are no JSON-RPC")

    async def aclose(self) -> None:
        """Nothing: the program's end closes it."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Stdin:
    """What a program is told."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def send(self, item: "SessionMessage", /) -> None:
        """Write one message."""
        stdin = self._process.stdin
        if stdin is None or stdin.is_closing():
            raise anyio.BrokenResourceError
        try:
            stdin.write(item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
            await stdin.drain()
        except OSError:
            raise anyio.BrokenResourceError from None

    async def aclose(self) -> None:
        """Tell it that nothing more comes."""
        if self._process.stdin:
            self._process.stdin.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


@asynccontextmanager
async def talking(server: Server) -> AsyncGenerator[tuple[Lines, Stdin]]:
    """Start the program, and end it on the way out with all that it started.

    Raises:
        Unstartable: there is no such program, or no such folder.
    """
    process = await _start(server)
    told = asyncio.create_task(_tell(server.name, process.stderr), name=f"mcp-{server.name}-stderr")
    try:
        yield Lines(process, _message), Stdin(process)
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)
            told.cancel()
            await asyncio.wait((told,))


async def _start(server: Server) -> Process:
    environment = _environment(server)
    words = [str(os.getpid()), _found(server, environment), *(each.reveal() for each in server.args)]
    try:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", LEASH, *words),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
            cwd=server.cwd,
            limit=MESSAGE_BYTES,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        raise Unstartable(f"it cannot be started: {why or 'its words are none'}") from None


def _found(server: Server, environment: Mapping[str, str]) -> str:
    """The program's whole path; a link in it is left as it is: a virtual environment is known by it."""
    program = shutil.which(server.command or "", path=environment.get("PATH"))
    if program is None:
        raise Unstartable(f"there is no program {server.command}")
    return str(Path(program).absolute())


def _environment(server: Server) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | {name: value.reveal() for name, value in server.env.items()}


def _message(line: bytes) -> "SessionMessage":
    from mcp.shared.message import SessionMessage  # noqa: PLC0415 - heavy, see `session`
    from mcp.types import jsonrpc_message_adapter  # noqa: PLC0415 - as above

    parsed: Any = jsonrpc_message_adapter.validate_json(line, by_name=False)
    return SessionMessage(parsed)


async def _tell(name: str, stderr: asyncio.StreamReader | None) -> None:
    """Log what it writes to stderr, for those who asked for debug lines; read it in any case."""
    while stderr and (chunk := await stderr.read(65_536)):
        for line in chunk.decode("utf-8", "replace").splitlines():
            log.say(names.MCP_SAID, DEBUG, server=name, error=line[:LINE])


async def _end(process: Process) -> None:
    """By its stdin, as the protocol has it; then by force, with all of its group, also where time is over."""
    try:
        if process.stdin:
            process.stdin.close()
        if not await _ended(process):
            _signal(process, signal.SIGTERM)
            await _ended(process)
    finally:
        _signal(process, signal.SIGKILL)  # what it started and left behind, too
    await _ended(process)
    _let_go(process)


def _signal(process: Process, number: int) -> None:
    with suppress(OSError):
        os.killpg(process.pid, number)


async def _ended(process: Process) -> bool:
    """Whether it ends in time. To `wait` would be to wait for its children to let go of its pipes."""
    for _ in range(round(END_SECONDS / STEP)):
        if process.returncode is not None:
            return True
        await asyncio.sleep(STEP)
    return process.returncode is not None


def _let_go(process: Process) -> None:
    """Close its pipes: somebody else may hold the other ends, and no event would ever come."""
    transport: Any = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
