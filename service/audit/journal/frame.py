"""A frame: `magic 4 | length u32 | seq u64 | crc32 u32 | body`, little endian; the checksum is of all others.

Refuses bodies that make a frame larger than 4 MiB, and to take anything for a frame whose checksum differs.
"""

import struct
import zlib

from msgspec import Struct

MAGIC = b"\xa7PJ1"
_FIELDS = struct.Struct("<IQ")
_CRC = struct.Struct("<I")
HEAD = len(MAGIC) + _FIELDS.size + _CRC.size
"""Bytes before the body."""
BIGGEST = 4 << 20
"""Bytes of the largest frame, its head included."""


class Frame(Struct, frozen=True, gc=False):
    """One intact frame; `start` and `end` are its bytes' offsets within the segment."""

    seq: int
    body: bytes
    start: int
    end: int


def framed(seq: int, body: bytes) -> bytes:
    """The bytes of a frame.

    Raises:
        ValueError: the frame would be larger than the biggest.
    """
    if HEAD + len(body) > BIGGEST:
        raise ValueError(f"A frame of {HEAD + len(body)} bytes is larger than {BIGGEST}.")
    fields = _FIELDS.pack(len(body), seq)
    return b"".join((MAGIC, fields, _CRC.pack(zlib.crc32(body, zlib.crc32(fields))), body))


def size_at(data: bytes, at: int) -> int:
    """Bytes that the frame beginning at `at` says it has; 0 where none begins. A whole head is there."""
    if not data.startswith(MAGIC, at):
        return 0
    length, _ = _FIELDS.unpack_from(data, at + len(MAGIC))
    return HEAD + length if HEAD + length <= BIGGEST else 0


def frame_at(data: bytes, at: int, size: int, offset: int) -> Frame | None:
    """The frame whose `size` bytes begin at `at`, or None where they are damaged; `offset` is its place."""
    fields = data[at + len(MAGIC) : at + len(MAGIC) + _FIELDS.size]
    body = data[at + HEAD : at + size]
    (crc,) = _CRC.unpack_from(data, at + len(MAGIC) + _FIELDS.size)
    if zlib.crc32(body, zlib.crc32(fields)) != crc:
        return None
    return Frame(_FIELDS.unpack(fields)[1], body, offset, offset + size)
