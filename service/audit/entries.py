"""What the journal keeps of a turn, as bytes: its opening while it runs, its row once it is over.

Refuses to lose a turn to odd text: what no encoder takes is written out as an escape that can be seen.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from service.audit.row import AuditRow
from service.errors import JournalError
from telemetry import log
from telemetry.record import TurnOpening

T = TypeVar("T")


class Begun(Struct, frozen=True):
    """A turn that was let in: its number in this journal, and what was known of it."""

    seq: int
    opening: TurnOpening


def encode(fact: Begun | AuditRow) -> bytes:
    """MessagePack of a fact."""
    try:
        return msgspec.msgpack.encode(fact)
    except UnicodeEncodeError:  # half of a surrogate pair
        return msgspec.msgpack.encode(log.printable(_plain(fact)))


def begun(content: bytes) -> Begun:
    """The fact again; raises JournalError where these bytes are none."""
    return _decoded(content, Begun)


def row(content: bytes) -> AuditRow:
    """The row again; raises JournalError where these bytes are none."""
    return _decoded(content, AuditRow)


def _decoded(content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(content, type=kind)
    except msgspec.MsgspecError as error:
        raise JournalError("The journal holds an entry of another version.") from error


def _plain(fact: Struct) -> dict[str, Any]:
    return {name: _part(getattr(fact, name)) for name in fact.__struct_fields__}


def _part(value: Any) -> Any:
    return _plain(value) if isinstance(value, Struct) else value
