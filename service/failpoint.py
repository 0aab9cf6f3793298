"""Named places at which a process may be told to end, so that every crash can be rehearsed.

Refuses to do anything unless `PARLEY_FAILPOINT=name:nth` was set when the process started: on the nth passing
of that name the process ends at once, as `kill -9` would end it.
"""

import os
import threading

NAMES = (
    "journal.folder.made",
    "journal.folder.locked",
    "journal.write.before",
    "journal.write.half",
    "journal.write.after",
    "journal.sync.before",
    "journal.sync.after",
    "journal.roll.created",
    "journal.roll.headed",
    "journal.roll.carried",
    "journal.unlink.before",
    "journal.unlink.after",
    "journal.reserve.before",
    "journal.reserve.renamed",
    "journal.reserve.written",
    "journal.reserve.made",
    "journal.close.before",
    "estate.locked",
    "estate.batch",
    "estate.left",
    "estate.unlink",
    "estate.rmdir.before",
    "estate.rmdir.after",
    "drain.append.before",
    "drain.append.after",
    "drain.aside.before",
    "drain.aside.after",
    "drain.inherit.forget",
    "drain.inherit.tell",
    "drain.inherit.told",
    "clerk.release.before",
    "clerk.release.after",
    "store.script.begun",
    "store.script.loaded",
    "store.commit.before",
    "store.commit.after",
    "checkpoint.made",
    "checkpoint.told",
    "sink.opened",
    "sink.closed",
)
"""Every name there is; `journal.write.half` ends within a frame, half of which is written."""

KILLED = 137
"""The exit code, which is also that of a process ended by SIGKILL in a shell."""

_NAME, _, _NTH = os.environ.get("PARLEY_FAILPOINT", "").partition(":")
_ARMED = bool(_NAME)
_lock = threading.Lock()
_passed = 0


def reached(name: str) -> None:
    """Pass the place of that name; end the process here if this is the time it was told."""
    if _ARMED and due(name):
        end()


def due(name: str) -> bool:
    """Whether the process is to end at this passing; for a place that has to do something before it ends."""
    if not _ARMED or name != _NAME:
        return False
    global _passed  # noqa: PLW0603 - one count for the process, from whichever thread
    with _lock:
        _passed += 1
        return _passed == int(_NTH or 1)


def end() -> None:
    """End the process: no `finally`, no flush, no farewell."""
    os._exit(KILLED)
