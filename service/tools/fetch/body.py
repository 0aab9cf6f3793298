"""A body, read and unpacked within a bound.

Refuses to hold more than the bound: what a few packed bytes could become is never made.
"""

import zlib
from collections.abc import AsyncIterator, Callable

from service.errors import ToolFailed

MOST = 1 << 20
"""Bytes of a body that are read, as sent and as unpacked."""

Unpack = Callable[[bytes, int], bytes]
"""Some bytes as sent, and how many may come of them at most -> what they are."""


async def read(pieces: AsyncIterator[bytes], encoding: str, most: int = MOST) -> tuple[bytes, bool]:
    """The first `most` bytes of a body, and whether that is all of it.

    Raises:
        ToolFailed: it is packed in a way that was not asked for, or not as it says.
    """
    unpack, body, sent = _unpacking(encoding), bytearray(), 0
    async for piece in pieces:
        sent += len(piece)
        body += unpack(piece, most + 1 - len(body))
        if len(body) > most or sent > most:
            return bytes(body[:most]), False
    return bytes(body), True


def _unpacking(encoding: str) -> Unpack:
    if encoding in {"", "identity"}:
        return lambda piece, room: piece[:room]
    if encoding not in {"gzip", "x-gzip"}:
        raise ToolFailed("The page is packed in a way that was not asked for.")
    packed = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def unpack(piece: bytes, room: int) -> bytes:
        if packed.eof:
            return b""  # what follows the end belongs to nothing
        try:
            return packed.decompress(piece, room)
        except zlib.error as error:
            raise ToolFailed("The page is not packed as it says.") from error

    return unpack
