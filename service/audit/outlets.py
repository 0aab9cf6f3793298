"""Where checkpoints are told: a file that is appended to, and a web address that they are posted to.

Refuses to lose one unsaid: whatever does not take one is named by a line.
"""

import os
from collections.abc import Sequence
from functools import partial
from logging import WARNING
from pathlib import Path

from config.settings import Audit
from telemetry import log, names
from telemetry.outlet import PAUSES, Outlet, Send
from telemetry.post import post


def outlets(settings: Audit) -> tuple[Outlet[bytes], ...]:
    """Those that the settings name."""
    file, address = settings.checkpoint_file, settings.checkpoint_webhook
    told = (("file", file, append), ("webhook", address, post))
    return tuple(telling(name, partial(send, where)) for name, where, send in told if where)


def telling(name: str, send: Send[bytes], *, pauses: Sequence[float] = PAUSES) -> Outlet[bytes]:
    """A place that checkpoints are told to; a newer one proves more than those before it."""
    return Outlet(name, send, _complain, pauses=pauses)


def _complain(outlet: str, error: str, waiting: int) -> None:
    log.say(names.CHECKPOINT_UNTOLD, WARNING, outlet=outlet, error=error, waiting=waiting)


def append(path: str, line: bytes) -> None:
    """Append one line to a file and see it on the disk; a new file, its folder too, is its owner's alone.

    Raises:
        OSError: it is not all there.
    """
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.write(file, line + b"\n") != len(line) + 1:
            raise OSError("the line was not written whole")
        os.fsync(file)
    finally:
        os.close(file)
