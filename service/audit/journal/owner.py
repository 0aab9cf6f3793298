"""The journal of this process: what begins and what became of it, on the disk before anybody hears of it.

Refuses to be opened where it could not be written, and to wait for the disk in the caller's thread.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from msgspec import Struct

from service import failpoint
from service.audit.journal import ownership
from service.audit.journal.cipher import Cipher
from service.audit.journal.disk import Disk, OsDisk
from service.audit.journal.entry import Kind
from service.audit.journal.pen import Pen
from service.audit.journal.reader import Reader
from service.audit.journal.reading import Batch
from service.audit.journal.reserve import Reserve
from service.audit.journal.shelf import Shelf, remove
from service.audit.journal.syncer import Syncer
from service.audit.journal.writer import Writer
from service.errors import JournalError

T = TypeVar("T")

SEGMENT_BYTES = RESERVE_BYTES = 8 << 20


class _Parts(Struct, frozen=True):
    """What a journal is made of."""

    disk: Disk
    folder: Path
    lock: int
    syncer: Syncer
    shelf: Shelf
    reserve: Reserve
    writer: Writer
    reader: Reader
    cipher: Cipher


class Journal:
    """A write-ahead journal of opaque bytes under ids.

    All methods belong to one thread, that of the event loop. An id is at most 255 bytes, a content
    a little less than 4 MiB.
    """

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts
        self._syncer, self._writer, self._reader = parts.syncer, parts.writer, parts.reader
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._writer.read = lambda: self._reader.at
        self._writer.carried = self._remove_consumed
        self._syncer.wake = self._wake

    @classmethod
    def open(
        cls,
        folder: Path,
        key: bytes,
        log_id: str,
        *,
        disk: Disk | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
        syncer: Syncer | None = None,
    ) -> Self:
        """Begin a journal of this process in a folder of its own below `folder`.

        Args:
            folder: where all journals are; made where there is none.
            key: secret bytes, the same for every process that is to adopt.
            log_id: 32 hexadecimal digits; which audit log the rows are for.
            disk: the operating system's, unless a test says otherwise.
            segment_bytes: how large a segment grows before the next is begun.
            reserve_bytes: room set aside for the rows of what runs when the disk is full.
            syncer: has a thread of its own, unless a test says otherwise.

        Raises:
            JournalError: it cannot be written there.
        """
        disk = disk or OsDisk()
        try:
            parts = _open(
                disk, folder, partial(Cipher, (key,)), log_id, (segment_bytes, reserve_bytes), syncer
            )
        except OSError as error:
            raise JournalError(
                f"The journal cannot be begun in {folder}: {error.strerror or error}."
            ) from error
        return cls(parts)

    @property
    def writer(self) -> str:
        """The name of this process start: 32 hexadecimal digits."""
        return self._parts.folder.name

    @property
    def writable(self) -> bool:
        """Whether new entries are taken."""
        return self._writer.writable

    @property
    def fault(self) -> str:
        """One sentence on why it is not writable, empty where it is."""
        return "" if self._writer.writable else self._writer.fault

    @property
    def open_entries(self) -> int:
        """Entries that are not settled."""
        return len(self._writer.opened)

    @property
    def rows_written(self) -> int:
        """Rows written since the start."""
        return self._writer.rows_written

    @property
    def size(self) -> int:
        """Bytes on the disk: segments and reserve."""
        reserve = self._parts.reserve
        return self._parts.shelf.size + (reserve.size if reserve.there else 0)

    @property
    def oldest(self) -> int | None:
        """When the oldest segment with an unreleased row was begun, microseconds since 1970; None: no row."""
        segment = self._parts.shelf.oldest(self._reader.at)
        return segment.created_at if segment else None

    def intend(self, id_: str, content: bytes) -> None:
        """Write that something begins; it is open until it is settled.

        Raises:
            AuditUnwritable: it cannot be written, or is too large.
        """
        self._syncer.absorb()
        self._writer.begin(Kind.INTENT, id_, content)

    def share(self, id_: str, content: bytes) -> None:
        """Write that a row begins which stands for many; it counts one, and is open until it is settled.

        Raises:
            AuditUnwritable: it cannot be written, or is too large.
        """
        self._syncer.absorb()
        self._writer.begin(Kind.SHARED, id_, content)

    def add(self, id_: str) -> None:
        """Write that an open shared row counts one more.

        Raises:
            AuditUnwritable: it cannot be written; it is not counted.
            KeyError: no such row is open.
        """
        self._syncer.absorb()
        self._writer.add(id_)

    def settle(self, id_: str, content: bytes) -> bool:
        """Write a row, into the room set aside where there is no other; never raises.

        False: it could not be written at all, or is too large; the caller keeps it and may try again.
        """
        self._syncer.absorb()
        return self._writer.settle(id_, content)

    def rotate(self, key: bytes) -> None:
        """Seal with another key from now on; who adopts this journal needs that one and those before."""
        self._parts.cipher.rotate(key)

    def roll(self) -> bool:
        """Begin a new segment; whether that went well."""
        return self._writer.roll()

    async def synced(self) -> bool:
        """Wait until everything written before this call is on the disk; False where it could not be."""
        self._loop = asyncio.get_running_loop()
        self._syncer.absorb()
        return await self._writer.synced()

    async def try_again(self) -> bool:
        """See whether an unwritable journal can be written again; the owner asks every second."""
        self._syncer.absorb()
        return await self._writer.try_again(partial(self._done, self._parts.reserve.make))

    def take(self, limit: int) -> Batch:
        """The next rows after what was released, at most `limit`; again without a release: the same.

        After a disk error a row may come a second time, the same as before.

        Raises:
            JournalError: a segment cannot be read.
        """
        self._syncer.absorb()
        try:
            return self._reader.take(limit)
        except OSError as error:
            raise JournalError(f"The journal cannot be read: {error.strerror or error}.") from error

    def release(self, batch: Batch) -> None:
        """Pass over a batch whose rows are committed; segments that nobody needs any more are removed."""
        self._reader.release(batch)
        self._remove_consumed()

    async def close(self) -> None:
        """Sync, end the thread and let go of the folder; it is removed where nothing is left in it."""
        if self._closed:
            return
        self._closed = True
        synced = await self.synced()
        failpoint.reached("journal.close.before")
        nothing_left = synced and not self.open_entries and self.oldest is None
        await self._done(partial(_leave, self._parts, empty=nothing_left))
        self._syncer.stop()

    async def _done(self, work: Callable[[], T]) -> T:
        """Do some work in the thread that may wait for the disk."""
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = self._loop.create_future()

        def tell(result: T) -> None:
            if not future.done():  # whoever waited may have been cancelled
                future.set_result(result)

        self._syncer.submit(work, tell)
        return await future

    def _remove_consumed(self) -> None:
        shelf = self._parts.shelf
        going = shelf.leave(self._reader.at)
        if going:
            work = partial(remove, self._parts.disk, [segment.path for segment in going])
            self._syncer.submit(work, partial(shelf.forget, going))

    def _wake(self) -> None:
        if self._loop:
            with suppress(RuntimeError):  # the loop is closed: whoever is next absorbs
                self._loop.call_soon_threadsafe(self._syncer.absorb)


def _open(
    disk: Disk,
    top: Path,
    cipher: Callable[[str, str], Cipher],
    log_id: str,
    sizes: tuple[int, int],
    syncer: Syncer | None,
) -> _Parts:
    ownership.prepare(disk, top)
    folder, lock = ownership.claim(disk, top)
    made = cipher(folder.name, log_id)
    reserve = Reserve(disk, folder, sizes[1])
    if error := reserve.make():
        raise error
    pen = Pen(disk, folder, made, log_id, sizes[0])
    syncer = syncer or Syncer(disk)
    for holding in (top.parent, top, folder):
        syncer.mark_folder(holding)
    writer = Writer(pen, reserve, syncer, folder)
    return _Parts(disk, folder, lock, syncer, pen.shelf, reserve, writer, Reader(disk, made, pen.shelf), made)


def _leave(parts: _Parts, *, empty: bool) -> None:
    """Close everything; remove the folder where nothing is left in it."""
    segments = parts.shelf.all()
    for segment in segments:
        segment.close()
    parts.reserve.close()
    if empty and remove(parts.disk, [segment.path for segment in segments]) == len(segments):
        ownership.clear(parts.disk, parts.folder)
    parts.disk.close(parts.lock)
