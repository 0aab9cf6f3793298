"""What a frame says once it is decrypted: `kind 1 | id length u8 | id | content`.

Refuses ids longer than 255 bytes, and kinds it does not know.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from msgspec import Struct

LONGEST_ID = 255
_TOTAL_BYTES = 8


class Kind(IntEnum):
    """What an entry means for its id."""

    INTENT = ord("I")
    """Something begins that will have a row."""
    ROW = ord("R")
    """The row; it settles the id, for good."""
    SHARED = ord("S")
    """A row begins that stands for many; it counts one."""
    MORE = ord("+")
    """The shared row counts more; its content is the total so far: reading it twice is reading it once."""


KINDS: Mapping[int, Kind] = MappingProxyType({int(kind): kind for kind in Kind})
"""By their byte: a look here takes half as long as the enumeration's own."""


class Entry(Struct, frozen=True, gc=False):
    """One decrypted entry."""

    kind: Kind
    id: str
    content: bytes


def encoded(kind: Kind, id_: str, content: bytes) -> bytes:
    """The plaintext of an entry.

    Raises:
        ValueError: the id is longer than 255 bytes.
    """
    name = id_.encode()
    if len(name) > LONGEST_ID:
        raise ValueError(f"An id of {len(name)} bytes is longer than {LONGEST_ID}.")
    return b"".join((bytes((kind, len(name))), name, content))


def decoded(plain: bytes) -> Entry | None:
    """The entry of a plaintext, or None where it has no such form."""
    try:
        end = 2 + plain[1]
        if end > len(plain):
            return None
        return Entry(KINDS[plain[0]], plain[2:end].decode(), plain[end:])
    except (LookupError, ValueError):
        return None


def total(count: int) -> bytes:
    """The content of a MORE entry."""
    return count.to_bytes(_TOTAL_BYTES, "little")


def count_of(content: bytes) -> int:
    """The total that a MORE entry says."""
    return int.from_bytes(content, "little")
