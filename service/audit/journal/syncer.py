"""The thread that waits for the disk, so that the event loop never does.

Refuses to sync on after an error until it is told what to sync instead: the kernel reports a lost write once.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from service import failpoint
from service.audit.journal.disk import Disk

T = TypeVar("T")
_NEVER = float("inf")
LULL = 0.02
"""Seconds that the thread stays ready after a group: what is not due earlier needs not wake it."""


class Syncer:
    """One daemon thread. `mark` and `submit` are called by the journal's thread, as is `absorb`.

    `synced(ticket, error)` is called by `absorb` for each group; `wake` is called by the thread when there is
    something to absorb that somebody waits for. `apart` are the seconds from a group's begin to the next
    one's: what comes meanwhile is in it. Without `start` nothing runs until `work` is called; `clock` tells
    seconds.
    """

    def __init__(
        self, disk: Disk, *, start: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.synced: Callable[[int, OSError | None], None] = lambda _ticket, _error: None
        self.wake: Callable[[], None] = lambda: None
        self.apart = 0.0
        self._disk, self._clock = disk, clock
        self._lock, self._bell = threading.Lock(), threading.Lock()
        self._bell.acquire()
        self._files: dict[int, None] = {}
        self._folders: dict[Path, None] = {}
        self._ticket, self._due = 0, _NEVER
        self._awaited, self._wakes = 0, -_NEVER
        self._held = self._stopping = False
        self._jobs: deque[Callable[[], bool]] = deque()
        self._done: deque[Callable[[], None]] = deque()
        self._thread = threading.Thread(target=self._run, name="parley-journal", daemon=True)
        if start:
            self._thread.start()

    @property
    def held(self) -> bool:
        """Whether an error stopped it until `resume`."""
        return self._held

    def mark(self, ticket: int, fd: int, seconds: float) -> None:
        """Have a file's bytes up to this ticket on the disk, begun within that many seconds."""
        with self._lock:
            self._files[fd] = None
            self._ticket = ticket
            self._expect(seconds)

    def mark_folder(self, path: Path) -> None:
        """Have the names in a folder on the disk, with the next files."""
        with self._lock:
            self._folders[path] = None

    def hurry(self) -> None:
        """Somebody waits for what is marked or under way: begin now, and tell; to `absorb` is theirs too."""
        with self._lock:
            self._awaited = self._ticket
            if self._files or self._folders:
                self._expect(0.0)

    def resume(self) -> None:
        """Forget the marked files after an error; what they held is written elsewhere. Folders stay."""
        with self._lock:
            self._files.clear()
            self._held, self._due = False, _NEVER  # a moment that passed meanwhile would keep the bell still

    def submit(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Do some work on the thread, then tell the journal's thread its result. It must not raise."""
        with self._lock:
            self._jobs.append(partial(self._finish, work, then))
            self._ring()

    def absorb(self) -> None:
        """Do in the journal's thread what follows from what is done."""
        while self._done:
            self._done.popleft()()

    def work(self) -> bool:
        """Do what is due now; whether there was anything. The thread's own step."""
        with self._lock:
            job = self._jobs.popleft() if self._jobs else self._group()
        if not job:
            return False
        if job():
            self.wake()
        return True

    def stop(self) -> None:
        """End the thread after the jobs that were submitted; wait for it."""
        with self._lock:
            self._stopping = True
            self._ring()
        if self._thread.is_alive():
            self._thread.join()

    def _expect(self, seconds: float) -> None:
        due = self._clock() + seconds
        if due < self._due:
            self._due = due
            if due < self._wakes:
                self._ring()

    def _ring(self) -> None:
        """Have the thread look; only the journal's thread rings, so that nobody comes between."""
        self._wakes = -_NEVER
        if self._bell.locked():
            self._bell.release()

    def _group(self) -> Callable[[], bool] | None:
        """Everything that is marked, as one job, if it is time."""
        if self._held or self._due > self._clock():
            return None
        files, folders = tuple(self._files), tuple(self._folders)
        self._due = _NEVER
        self._files.clear()
        self._folders.clear()
        return partial(self._sync, self._ticket, files, folders)

    def _finish(self, work: Callable[[], T], then: Callable[[T], None]) -> bool:
        self._done.append(partial(then, work()))
        return True

    def _sync(self, ticket: int, files: tuple[int, ...], folders: tuple[Path, ...]) -> bool:
        """Wait for the disk; whether anybody waits to hear of it."""
        error = None
        failpoint.reached("journal.sync.before")
        try:
            for fd in files:
                self._disk.sync(fd)
            for folder in folders:
                self._disk.sync_folder(folder)
        except OSError as met:
            error = met
        failpoint.reached("journal.sync.after")
        with self._lock:
            self._done.append(partial(self.synced, ticket, error))
            return self._settle(ticket, folders, error)

    def _settle(self, ticket: int, folders: tuple[Path, ...], error: OSError | None) -> bool:
        if error:
            self._held = True
            self._folders.update(dict.fromkeys(folders))
            return True
        awaited = bool(self._awaited)
        if self._awaited <= ticket:
            self._awaited = 0
        return awaited

    def _run(self) -> None:
        while True:
            began, worked = self._clock(), False
            while self.work():
                worked = True
                self._rest(began)
                began = self._clock()
            with self._lock:
                if self._stopping and not self._jobs:
                    return
                seconds = 0.0 if self._jobs else self._patience(LULL if worked else -1)
                self._wakes = _NEVER if seconds < 0 else self._clock() + seconds
            self._bell.acquire(timeout=seconds)

    def _rest(self, began: float) -> None:
        """Let some more come, where many turns run."""
        if (seconds := began + self.apart - self._clock()) > 0:
            time.sleep(seconds)

    def _patience(self, longest: float) -> float:
        """Seconds until something is due; `longest` where nothing is."""
        if self._held or self._due == _NEVER:
            return longest
        return max(self._due - self._clock(), 0.0)
