"""Keys for one purpose, the newest first: whoever holds the ring has those that hold now.

Refuses to be empty, and to be changed key by key: all are replaced in one assignment.
"""

from collections.abc import Sequence
from typing import overload


class Ring(Sequence[bytes]):
    """A sequence of keys that may be others from one look to the next; a slice or an iterator stays as it is.

    What is made now is made under the first; whatever an earlier one made is taken too.
    """

    def __init__(self, *keys: bytes) -> None:
        self._keys = keys
        self.turn(keys)

    def turn(self, keys: Sequence[bytes]) -> None:
        """From now on these are the keys.

        Raises:
            ValueError: there is none.
        """
        if not keys:
            raise ValueError("no key")
        self._keys = tuple(keys)

    @property
    def newest(self) -> bytes:
        """The key that things are made under."""
        return self._keys[0]

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[bytes, ...]: ...
    def __getitem__(self, index: int | slice) -> bytes | tuple[bytes, ...]:
        """A key, or a part of those that hold now."""
        return self._keys[index]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._keys)
