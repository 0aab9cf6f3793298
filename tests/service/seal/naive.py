"""RFC 6962 section 2.1 as it stands there: recursive, slow, and written without our code."""

from hashlib import sha256


def leaf(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def leaves(size: int) -> list[bytes]:
    return [leaf(b"%d" % index) for index in range(size)]


def split(size: int) -> int:
    """The largest power of two smaller than the size."""
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def root(hashes: list[bytes]) -> bytes:
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = split(len(hashes))
    return sha256(b"\x01" + root(hashes[:k]) + root(hashes[k:])).digest()


def path(index: int, hashes: list[bytes]) -> list[bytes]:
    if len(hashes) == 1:
        return []
    k = split(len(hashes))
    if index < k:
        return [*path(index, hashes[:k]), root(hashes[k:])]
    return [*path(index - k, hashes[k:]), root(hashes[:k])]


def chain(hashes: list[bytes]) -> bytes:
    link = bytes(32)
    for each in hashes:
        link = sha256(link + each).digest()
    return link
