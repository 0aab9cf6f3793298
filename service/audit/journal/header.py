"""The first frame of a segment: `H` and JSON, the one body that is not encrypted.

Refuses to judge: whether a segment is for this audit log and in a form we know is the reader's to decide.
"""

import os
import time
from pathlib import Path

import msgspec
from msgspec import Struct

FORMAT = 1
MARK = b"H"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Header(Struct, frozen=True, rename="camel"):
    """Whose segment it is; `log` is the audit log it is for, `created_at` microseconds since 1970 (UTC)."""

    format: int
    writer: str
    log: str
    boot: str
    pid: int
    segment: int
    created_at: int


def header_of(writer: str, log_id: str, segment: int) -> Header:
    """The header of a segment that this process begins now."""
    return Header(FORMAT, writer, log_id, _boot(), os.getpid(), segment, time.time_ns() // 1000)


def encoded(header: Header) -> bytes:
    """The body of a header's frame."""
    return MARK + msgspec.json.encode(header)


def decoded(body: bytes) -> Header | None:
    """The header of a body, or None where it has another form."""
    if not body.startswith(MARK):
        return None
    try:
        return msgspec.json.decode(body[len(MARK) :], type=Header)
    except msgspec.DecodeError:
        return None


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
