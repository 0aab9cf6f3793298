"""Ports of this machine for servers of tests: each given once, over all processes that run tests.

Refuses ports that the system hands out itself: nobody's connection takes one before its owner listens.
"""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

HOST = "127.0.0.1"
RANGE = range(20_000, 32_000)
CLAIMS = Path(tempfile.gettempdir()) / f"parley-ports-{os.getuid()}"
_ours: list[int] = []
"""Locks, open until this process ends: whoever else wants one of these ports takes another."""


def claim() -> int:
    """A port that nobody listens on, and that no other test gets while this process lives."""
    chance = random.SystemRandom()
    while True:
        port = chance.choice(RANGE)
        if _free(port) and _claimed(port):
            return port


def _free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, port))
        except OSError:
            return False
    return True


def _claimed(port: int) -> bool:
    """Whether it is ours from now on. A lock of this process refuses this process too: it is another file."""
    CLAIMS.mkdir(exist_ok=True)
    lock = os.open(CLAIMS / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    _ours.append(lock)
    return True
