"""Starts the parts one after the other, waits until each is ready, and ends all in the opposite order.

Refuses to share a port, to start half a stack, and to leave a part behind.
"""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from telemetry.stack.failure import CannotRun, Ended
from telemetry.stack.parts import HOST, Part

Say = Callable[[str], None]

LOOK_SECONDS: Final = 0.1
READY_SECONDS: Final = 60
"""A first start brings a database into form."""
STOP_SECONDS: Final = 30
"""The service writes what it holds, the collector sends what waits."""
LAST_WORDS: Final = 2000


def check_ports(parts: Iterable[Part], others: Iterable[int] = ()) -> None:
    """See that every port is free.

    Raises:
        CannotRun: one is not; whose it would be is said.
    """
    wanted = [(part.host, port, part.name) for part in parts for port in part.ports]
    wanted += [(HOST, port, "telling alerts to this terminal") for port in others]
    for host, port, name in wanted:
        if not is_free(host, port):
            raise CannotRun(
                f"port {port} on {host} is in use, and {name} needs it; is another stack running? "
                f"(`ss -ltnp 'sport = :{port}'` says whose it is)"
            )


def is_free(host: str, port: int) -> bool:
    """Whether somebody could listen there now."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(address)
    except OSError:
        return False
    return True


def run(parts: Sequence[Part], data: Path, say: Say, stop: threading.Event) -> None:
    """Run them until `stop` is set, which is looked at while they start as well.

    Raises:
        Ended: one did not start, or ended by itself; all others have been ended too.
    """
    with ExitStack() as running:
        started: list[tuple[Part, subprocess.Popen[bytes]]] = []
        for part in parts:
            began = time.monotonic()
            started.append((part, running.enter_context(process(part, data, say))))
            if not wait_ready(*started[-1], data, stop):
                return
            say(f"{part.name:<13} ready after {time.monotonic() - began:.1f} s   {part.shown}")
        say(f"all {len(parts)} run; their words are in {data}/*.log; Ctrl-C ends them")
        while not stop.wait(LOOK_SECONDS):
            check_alive(started, data)


@contextmanager
def process(part: Part, data: Path, say: Say) -> Generator[subprocess.Popen[bytes]]:
    """One part in a session of its own: Ctrl-C reaches the launcher alone, which keeps the order."""
    environ = {**os.environ, **{key: os.environ.get(key) or value for key, value in part.environ.items()}}
    with (data / f"{part.name}.log").open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 - the parts' own commands
            part.command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=None if part.talks else log,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        end(part, child, say)


def end(part: Part, child: subprocess.Popen[bytes], say: Say) -> None:
    """Ask it to end, wait, and insist in the end."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        say(f"{part.name} did not end in {STOP_SECONDS} s and is killed")
        child.kill()
        child.wait()


def wait_ready(part: Part, child: subprocess.Popen[bytes], data: Path, stop: threading.Event) -> bool:
    """Wait until it is ready; false where `stop` came first.

    Raises:
        Ended: it ended, or took too long.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not answers(part):
        check_alive([(part, child)], data)
        if time.monotonic() > deadline:
            raise Ended(f"{part.name} is not ready after {READY_SECONDS} s. {last_words(part, data)}")
        if stop.wait(LOOK_SECONDS):
            return False
    return True


def answers(part: Part) -> bool:
    """Whether its readiness says 200."""
    connection = HTTPConnection(part.host, part.ready_port, timeout=2)
    try:
        connection.request("GET", part.ready)
        return connection.getresponse().status == 200  # noqa: PLR2004 - OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def check_alive(started: Iterable[tuple[Part, subprocess.Popen[bytes]]], data: Path) -> None:
    """See that all run.

    Raises:
        Ended: one does not.
    """
    for part, child in started:
        if (code := child.poll()) is not None:
            raise Ended(f"{part.name} ended by itself with {code}. {last_words(part, data)}")


def last_words(part: Part, data: Path) -> str:
    """The end of its log, and where the rest is."""
    path = data / f"{part.name}.log"
    said = path.read_bytes()[-LAST_WORDS:].decode(errors="replace").strip()
    return f"The end of {path}:\n{said}"
