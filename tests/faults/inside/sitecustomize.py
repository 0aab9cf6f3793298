"""Read by Python at the start of a service under test: writes how many asyncio tasks it has to a file.

Refuses to be part of the program: only a path in the tests' environment brings it in.
"""

import asyncio
import gc
import os
import threading
import time
from pathlib import Path

EVERY = 0.25


def _loops() -> list[asyncio.AbstractEventLoop]:
    return [
        each for each in gc.get_objects() if isinstance(each, asyncio.BaseEventLoop) and each.is_running()
    ]


def _tell(path: Path) -> None:
    found: list[asyncio.AbstractEventLoop] = []
    while True:
        time.sleep(EVERY)
        # looked for until it runs: later the collector may have set it aside
        found = found or _loops()
        new = path.with_suffix(".new")
        new.write_text(str(sum(len(asyncio.all_tasks(loop)) for loop in found)))
        new.rename(path)


if "PARLEY_TASKS_FILE" in os.environ:
    threading.Thread(
        target=_tell, args=(Path(os.environ["PARLEY_TASKS_FILE"]),), name="tasks", daemon=True
    ).start()
