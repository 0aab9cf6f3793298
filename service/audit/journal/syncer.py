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


class Syncer:
    """One daemon thread. `mark` and `submit` are called by the journal's thread, as is `absorb`.

    `synced(ticket, error)` is called by `absorb` for each group; `wake` is called by the thread when there is
    something to absorb. Without `start` nothing runs until `work` is called; `clock` tells seconds.
    """

    def __init__(
        self, disk: Disk, *, start: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.synced: Callable[[int, OSError | None], None] = lambda _ticket, _error: None
        self.wake: Callable[[], None] = lambda: None
        self._disk, self._clock = disk, clock
        self._changed = threading.Condition()
        self._files: dict[int, None] = {}
        self._folders: dict[Path, None] = {}
        self._ticket, self._due = 0, _NEVER
        self._held = self._stopping = False
        self._jobs: deque[Callable[[], Callable[[], None]]] = deque()
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
        with self._changed:
            self._files[fd] = None
            self._ticket = ticket
            self._expect(seconds)

    def mark_folder(self, path: Path) -> None:
        """Have the names in a folder on the disk, with the next files."""
        with self._changed:
            self._folders[path] = None

    def hurry(self) -> None:
        """Begin now with what is marked."""
        with self._changed:
            self._expect(0.0)

    def resume(self) -> None:
        """Forget the marked files after an error; what they held is written elsewhere. Folders stay."""
        with self._changed:
            self._files.clear()
            self._held = False

    def submit(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Do some work on the thread, then tell the journal's thread its result. It must not raise."""
        with self._changed:
            self._jobs.append(lambda: partial(then, work()))
            self._changed.notify()

    def absorb(self) -> None:
        """Do in the journal's thread what follows from what is done."""
        while self._done:
            self._done.popleft()()

    def work(self) -> bool:
        """Do what is due now; whether there was anything. The thread's own step."""
        with self._changed:
            job = self._jobs.popleft() if self._jobs else self._group()
        if not job:
            return False
        self._done.append(job())
        self.wake()
        return True

    def stop(self) -> None:
        """End the thread after the jobs that were submitted; wait for it."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _expect(self, seconds: float) -> None:
        due = self._clock() + seconds
        if due < self._due:
            self._due = due
            self._changed.notify()

    def _group(self) -> Callable[[], Callable[[], None]] | None:
        """Everything that is marked, as one job, if it is time."""
        if self._held or self._due > self._clock():
            return None
        files, folders = tuple(self._files), tuple(self._folders)
        self._due = _NEVER
        self._files.clear()
        self._folders.clear()
        return partial(self._sync, self._ticket, files, folders)

    def _sync(self, ticket: int, files: tuple[int, ...], folders: tuple[Path, ...]) -> Callable[[], None]:
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
        with self._changed:
            self._settle(folders, error)
        return partial(self.synced, ticket, error)

    def _settle(self, folders: tuple[Path, ...], error: OSError | None) -> None:
        if error:
            self._held = True
            self._folders.update(dict.fromkeys(folders))

    def _run(self) -> None:
        while True:
            while self.work():
                pass
            with self._changed:
                if self._stopping and not self._jobs:
                    return
                if not self._jobs:
                    self._changed.wait(self._patience())

    def _patience(self) -> float | None:
        """Seconds until something is due, None where nothing is."""
        if self._held or self._due == _NEVER:
            return None
        return max(self._due - self._clock(), 0.0)
