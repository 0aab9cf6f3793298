"""Read by Python at the start of a service under test: writes how many asyncio tasks it has to a file.

Refuses to be part of the program: only a path in the tests' environment brings it in.
"""

import asyncio
import os
import threading
import time
from pathlib import Path

EVERY = 0.25
run_forever = asyncio.BaseEventLoop.run_forever
running: list[asyncio.AbstractEventLoop] = []


def _noted(loop: asyncio.BaseEventLoop) -> None:
    """Run a loop and know of it: asking the collector would break tuples that other threads build."""
    running.append(loop)
    try:
        run_forever(loop)
    finally:
        running.remove(loop)


def _tell(path: Path) -> None:
    while True:
        time.sleep(EVERY)
        new = path.with_suffix(".new")
        new.write_text(str(sum(len(asyncio.all_tasks(loop)) for loop in tuple(running))))
        new.rename(path)


if "PARLEY_TASKS_FILE" in os.environ:
    asyncio.BaseEventLoop.run_forever = _noted
    threading.Thread(
        target=_tell, args=(Path(os.environ["PARLEY_TASKS_FILE"]),), name="tasks", daemon=True
    ).start()
