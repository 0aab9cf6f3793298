"""A disk in memory that keeps apart what is written and what is on the platter, and whose power can be cut.

Refuses to be kinder than a real one: on a cut, writes and names that were not synced survive, vanish or are
torn, each for itself and in any order; a sync that failed says nothing about what it lost.
"""

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path


class PowerCut(BaseException):
    """The machine stopped in the middle of an operation."""


class File:
    """`data` is what a reader sees, `safe` what is on the platter; `pending` and `doubtful` may get there."""

    def __init__(self) -> None:
        self.data, self.safe = bytearray(), bytearray()
        self.pending: list[Callable[[bytearray], None]] = []
        self.doubtful: list[Callable[[bytearray], None]] = []
        self.writes: dict[int, tuple[int, bytes]] = {}
        self.allocated, self.locked = 0, False

    def do(self, change: Callable[[bytearray], None]) -> None:
        change(self.data)
        self.pending.append(change)


class Folder:
    """Names as a reader sees them, on the platter, and the changes in between."""

    def __init__(self) -> None:
        self.names: dict[str, File | Folder] = {}
        self.safe: dict[str, File | Folder] = {}
        self.pending: list[Callable[[dict[str, File | Folder]], None]] = []

    def do(self, change: Callable[[dict[str, "File | Folder"]], None]) -> None:
        change(self.names)
        self.pending.append(change)


class Write:
    """One write, which may reach the platter in part."""

    def __init__(self, data: bytes, offset: int) -> None:
        self.data, self.offset = data, offset

    def __call__(self, target: bytearray) -> None:
        end = self.offset + len(self.data)
        if len(target) < end:
            target.extend(bytes(end - len(target)))
        target[self.offset : end] = self.data

    def torn(self, chance: random.Random) -> "Write":
        first, last = sorted(chance.randint(0, len(self.data)) for _ in range(2))
        return Write(self.data[first:last], self.offset + first)


class Platter:
    """The disk.

    `room` is how many bytes it still takes (None: any), `sick_writes` and `sick_syncs` how many fail, `life`
    how many operations there are until the power goes (None: it stays), `dead` that it went.
    """

    def __init__(self) -> None:
        self.root = Folder()
        self.life: int | None = None
        self.room: int | None = None
        self.sick_writes = self.sick_syncs = 0
        self.dead = False
        self._files: dict[int, File] = {}
        self._next = 100

    def make_folder(self, path: Path) -> None:
        self._step()
        parent = self._folder(path.parent)
        if path.name in parent.names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        made = Folder()
        parent.do(lambda names: names.__setitem__(path.name, made))

    def remove_folder(self, path: Path) -> None:
        self._step()
        if self._folder(path).names:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        self._folder(path.parent).do(lambda names: names.pop(path.name, None))

    def names(self, path: Path) -> list[str]:
        self._step()
        return list(self._folder(path).names)

    def create(self, path: Path) -> int:
        self._step()
        if self.room == 0:
            raise _fault(errno.ENOSPC)
        file = File()
        self._folder(path.parent).do(lambda names: names.__setitem__(path.name, file))
        return self._opened(file)

    def open(self, path: Path) -> int:
        self._step()
        return self._opened(self._file(path))

    def close(self, fd: int) -> None:
        file = self._files.pop(fd)
        file.locked = file.locked and fd != getattr(file, "lock_fd", None)

    def lock(self, path: Path) -> int | None:
        self._step()
        if path.name not in self._folder(path.parent).names:
            self.close(self.create(path))
        file = self._file(path)
        if file.locked:
            return None
        fd = self._opened(file)
        file.locked, file.lock_fd = True, fd
        return fd

    def is_at(self, fd: int, path: Path) -> bool:
        self._step()
        return self._folder(path.parent).names.get(path.name) is self._files[fd]

    def write(self, fd: int, data: bytes, offset: int) -> int:
        self._step()
        if self.sick_writes:
            self.sick_writes -= 1
            raise _fault(errno.EIO)
        file = self._files[fd]
        taken = self._take(file, len(data), offset)
        if data and not taken:
            raise _fault(errno.ENOSPC)
        file.do(Write(bytes(data[:taken]), offset))
        return taken

    def read(self, fd: int, size: int, offset: int) -> bytes:
        self._step()
        return bytes(self._files[fd].data[offset : offset + size])

    def size(self, fd: int) -> int:
        return len(self._files[fd].data)

    def truncate(self, fd: int, size: int) -> None:
        self._step()
        self._files[fd].do(lambda target: target.__delitem__(slice(size, None)))

    def allocate(self, fd: int, size: int) -> None:
        self._step()
        file = self._files[fd]
        if self._take(file, size, 0) < size:
            raise _fault(errno.ENOSPC)
        file.allocated = size
        file.do(lambda target: target.extend(bytes(max(size - len(target), 0))))

    def sync(self, fd: int) -> None:
        self._step()
        file = self._files[fd]
        if self._sick():
            file.doubtful += file.pending
            file.pending = []
            raise _fault(errno.EIO)
        for change in file.pending:
            change(file.safe)
        file.pending = []

    def sync_folder(self, path: Path) -> None:
        self._step()
        folder = self._folder(path)
        if self._sick():
            raise _fault(errno.EIO)
        for change in folder.pending:
            change(folder.safe)
        folder.pending = []

    def rename(self, old: Path, new: Path) -> None:
        self._step()
        file = self._file(old)

        def change(names: dict[str, File | Folder]) -> None:
            if names.get(old.name) is file:
                del names[old.name]
            names[new.name] = file

        self._folder(old.parent).do(change)

    def unlink(self, path: Path) -> None:
        self._step()
        file = self._file(path)

        def change(names: dict[str, File | Folder]) -> None:
            if names.get(path.name) is file:
                del names[path.name]

        self._folder(path.parent).do(change)

    def after(self, chance: random.Random, survives: float) -> "Platter":
        """The disk as the next start finds it; `survives` is the part of unsynced changes that got there."""
        found = Platter()
        found.root = _folder_after(self.root, chance, survives)
        return found

    def _step(self) -> None:
        if self.life is not None:
            self.life -= 1
            self.dead = self.dead or self.life < 0
        if self.dead:
            raise PowerCut

    def _sick(self) -> bool:
        if self.sick_syncs:
            self.sick_syncs -= 1
            return True
        return False

    def _take(self, file: File, size: int, offset: int) -> int:
        """How many bytes of a write there is room for; room that was set aside is always there."""
        if self.room is None:
            return size
        had = max(len(file.data), file.allocated)
        grows = max(offset + size - had, 0)
        taken = min(grows, self.room)
        self.room -= taken
        return size - grows + taken

    def _opened(self, file: File) -> int:
        self._next += 1
        self._files[self._next] = file
        return self._next

    def _folder(self, path: Path) -> Folder:
        folder = self.root
        for name in path.parts[1:]:
            found = folder.names.get(name)
            if not isinstance(found, Folder):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            folder = found
        return folder

    def _file(self, path: Path) -> File:
        found = self._folder(path.parent).names.get(path.name)
        if not isinstance(found, File):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return found


def _fault(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _folder_after(folder: Folder, chance: random.Random, survives: float) -> Folder:
    names = dict(folder.safe)
    for change in folder.pending:
        if chance.random() < survives:
            change(names)
    after = Folder()
    after.safe = {
        name: _folder_after(node, chance, survives)
        if isinstance(node, Folder)
        else _file_after(node, chance, survives)
        for name, node in names.items()
    }
    after.names = dict(after.safe)
    return after


def _file_after(file: File, chance: random.Random, survives: float) -> File:
    after = File()
    after.safe = bytearray(file.safe)
    if survives >= 1:
        after.safe = bytearray(file.data)
    else:
        changes = file.doubtful + file.pending
        chance.shuffle(changes)
        for change in changes:
            if chance.random() < survives:
                torn = isinstance(change, Write) and chance.random() < 0.3
                (change.torn(chance) if torn else change)(after.safe)
    after.data = bytearray(after.safe)
    return after
