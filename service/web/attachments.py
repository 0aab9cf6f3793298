"""Files within a chat request: each is what it says it is, as large as may be, and no more of them than may.

Refuses a file by its first bytes, not by its name; looks no deeper into it than to count a PDF's pages.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Annotated, Literal

from msgspec import Meta, Struct

from service.agent.conversation.attached import PDF, Attached
from telemetry.failure import FieldError
from telemetry.record import Attachment

MEBIBYTE = 1 << 20
LARGEST = {PDF: 10 * MEBIBYTE}
"""Bytes of a PDF; an image may have half of that."""
LARGEST_IMAGE = 5 * MEBIBYTE
BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
    PDF: (b"%PDF-",),
}
WEBP = b"WEBP"

IMAGE_TOKENS = 4_784
"""The most that the API makes of one image; of a usual one a third."""
PAGE_TOKENS = 3_000 + IMAGE_TOKENS
"""Of a PDF's page: its text, as the API's documentation has it, and its picture."""
MOST_PAGES, UNCOUNTED_PAGES = 600, 100
"""Pages that the API takes at most, and that are assumed where nobody can count them."""
PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
PACKED, STREAM = b"/ObjStm", re.compile(rb"stream\r?\n")
MOST_PACKED, PACKED_HEAD, UNPACKED = 500, 512, 256 << 10
"""How many packed parts of a PDF are looked into, within how many bytes each begins, how far it is read."""


class AttachmentBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An image or a PDF: `data` is base64, of at most 5 MiB (an image) or 10 MiB (a PDF) of bytes."""

    type: Literal["image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"]
    data: Annotated[str, Meta(min_length=1)]
    name: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")] | None = None


class Refused(ValueError):
    """A file is not what it should be; its words are a field's message."""


def read(given: Sequence[AttachmentBody], most: int) -> tuple[list[Attached], list[FieldError]]:
    """The files, as far as they are valid, and what is wrong with the others; `most` is how many may come."""
    if len(given) > most:
        said = f"Expected at most {most}" if most else "Expected none: files are not taken here"
        return [], [FieldError("attachments", said)]
    files, errors = list[Attached](), list[FieldError]()
    for at, each in enumerate(given):
        try:
            files.append(_attached(each))
        except Refused as error:
            errors.append(FieldError(f"attachments[{at}].data", str(error)))
    return files, errors


def _attached(given: AttachmentBody) -> Attached:
    data = _decoded(given)
    fact = Attachment(type=given.type, bytes=len(data), sha256=sha256(data).hexdigest())
    tokens = pages(data) * PAGE_TOKENS if given.type == PDF else IMAGE_TOKENS
    return Attached(fact=fact, data=given.data, tokens=tokens, name=given.name)


def _decoded(given: AttachmentBody) -> bytes:
    largest = LARGEST.get(given.type, LARGEST_IMAGE)
    if len(given.data) > -(-largest // 3) * 4:
        raise Refused(f"Expected at most {largest} bytes")
    try:
        data = base64.b64decode(given.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("Expected base64") from error
    if len(data) > largest:
        raise Refused(f"Expected at most {largest} bytes")
    if not data.startswith(BEGINNINGS[given.type]) or (given.type == "image/webp" and data[8:12] != WEBP):
        raise Refused(f"Expected {given.type}")
    return data


def pages(data: bytes) -> int:
    """Pages of a PDF by its own word, from 1 to 600; 100 where that cannot be read."""
    found = len(PAGE.findall(data)) + sum(len(PAGE.findall(part)) for part in _unpacked(data))
    return min(found or UNCOUNTED_PAGES, MOST_PAGES)


def _unpacked(data: bytes) -> Iterator[bytes]:
    """What is in its packed parts, each only so far: a few bytes may unpack to endless ones."""
    at = data.find(PACKED)
    for _ in range(MOST_PACKED):
        if at < 0:
            return
        if begins := STREAM.search(data, at, at + PACKED_HEAD):
            with suppress(zlib.error):
                packed = data[begins.end() : begins.end() + UNPACKED]
                yield zlib.decompressobj().decompress(packed, UNPACKED)
        at = data.find(PACKED, at + 1)
