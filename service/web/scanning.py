"""A long log read and hashed by processes of its own, so that whoever is being answered hardly feels it.

Refuses to judge: what does not hold together comes as it was read, for the one that sees the whole log.
"""

import asyncio
import gc
import multiprocessing
import os
import signal
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from multiprocessing.connection import wait

from msgspec import Struct

from service.audit.verification.digest import Digest, digest
from service.audit.verify import Row
from service.errors import DatabaseError
from service.store.proofs import WINDOW, Left, Proofs
from service.store.reading import open_reading

MANY = 50_000
"""Events from which on a process is worth its start."""

UNCOLLECTED = 100_000
"""Rows go by counting; looking for cycles among them took an eighth of the time."""
ENDED = "A process that verified the log was ended from outside."

SHARE = 8 * WINDOW
"""Places that a process is given at a time."""

Scanned = Digest | Sequence[Row] | Left


class Scanning(Struct, frozen=True):
    """Which database is read, by how many processes, and how much they give way to others (0 to 19).

    `many` is the least number of events it is done for, `share` how many places a process is given at a time.
    """

    url: str
    processes: int
    niceness: int = 0
    many: int = MANY
    share: int = SHARE


class _Scanner:
    """The one of a process."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._proofs = Proofs(self._runner.run(open_reading(url)))

    def scan(self, start: int, end: int, cuts: Sequence[int]) -> Sequence[Scanned]:
        """The places of a share, a window at a time."""
        return self._runner.run(self._scan(start, end, cuts))

    async def _scan(self, start: int, end: int, cuts: Sequence[int]) -> Sequence[Scanned]:
        windows = [(first, min(first + WINDOW, end)) for first in range(start, end, WINDOW)]
        return [_in_short(piece, cuts) for window in windows for piece in await self._proofs.window(*window)]


def _in_short(piece: Sequence[Row] | Left, cuts: Sequence[int]) -> Scanned:
    if isinstance(piece, Left):
        return piece
    return digest(piece, cuts) or [*map(tuple, piece)]  # a driver's own records cannot leave the process


_own: list[_Scanner] = []
"""The scanner of this process, where it is one that scans."""


async def scanned(
    proofs: Proofs, scanning: Scanning, size: int, cuts: Sequence[int] = ()
) -> AsyncGenerator[tuple[int, Sequence[Scanned]]]:
    """The shares that are full in a log of `size` places, in order: where each ends, and what is in it.

    At each of `cuts`, sizes of the log in order, what is handed over can be held against a checkpoint.

    Raises:
        DatabaseError: the database did not answer, or a process was ended.
    """
    pool = ProcessPoolExecutor(
        scanning.processes, multiprocessing.get_context("spawn"), _begin, (scanning.url, scanning.niceness)
    )
    ahead = deque[tuple[int, asyncio.Future[Sequence[Scanned]]]]()
    end = 0
    try:
        while True:
            while (
                len(ahead) <= 2 * scanning.processes
                and (start := await _due(proofs, scanning, end, size)) >= 0
            ):
                end = start + scanning.share
                within = cuts[bisect_left(cuts, start) : bisect_left(cuts, end)]
                ahead.append((end, asyncio.wrap_future(pool.submit(_scan, start, end, within))))
            if not ahead:
                return
            until, share = ahead.popleft()
            yield until, await share
    except BrokenExecutor as error:
        raise DatabaseError(ENDED) from error
    finally:
        await asyncio.to_thread(pool.shutdown, cancel_futures=True)
        await asyncio.gather(*(share for _, share in ahead), return_exceptions=True)


async def _due(proofs: Proofs, scanning: Scanning, end: int, size: int) -> int:
    """Where the next share begins; negative where none is full."""
    start = await proofs.following(end)
    return start if start is not None and start + scanning.share <= size else -1


def _begin(url: str, niceness: int) -> None:
    """Make ready a process that scans."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it says when it ends
    threading.Thread(target=_follow_parent, daemon=True).start()
    os.nice(niceness)
    _own.append(_Scanner(url))
    gc.freeze()
    gc.set_threshold(UNCOLLECTED)


def _follow_parent() -> None:
    """End with the process that started this one, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _scan(start: int, end: int, cuts: Sequence[int]) -> Sequence[Scanned]:
    return _own[0].scan(start, end, cuts)
