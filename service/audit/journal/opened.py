"""Entries that are not settled, with their frames as they were written, so that they can be carried forward.

Refuses to encode anything anew: a frame that is carried is the same bytes.
"""

from collections.abc import Iterator

from msgspec import Struct


class Opening(Struct, frozen=True):
    """One open entry: its first frame, the latest that counts more, and how many it stands for."""

    first: bytes
    more: bytes = b""
    count: int = 1


class Opened:
    """The open entries by id, oldest first."""

    def __init__(self) -> None:
        self._openings: dict[str, Opening] = {}

    def __len__(self) -> int:
        return len(self._openings)

    def begin(self, id_: str, frame: bytes) -> None:
        """Hold a new entry."""
        self._openings[id_] = Opening(frame)

    def count(self, id_: str) -> int:
        """How many a shared entry stands for; KeyError where none is open under that id."""
        return self._openings[id_].count

    def more(self, id_: str, frame: bytes) -> None:
        """Count one more."""
        held = self._openings[id_]
        self._openings[id_] = Opening(held.first, frame, held.count + 1)

    def settle(self, id_: str) -> None:
        """Forget an entry; nothing where it was not open."""
        self._openings.pop(id_, None)

    def frames(self) -> Iterator[bytes]:
        """What has to be carried forward."""
        for held in self._openings.values():
            yield held.first + held.more
