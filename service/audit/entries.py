"""What the journal keeps of a turn, as bytes: its opening while it runs, its row once it is over.

Refuses to lose a turn to odd text: what no encoder takes is written out as an escape that can be seen.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct, structs
from msgspec.msgpack import Decoder

from service.audit.row import AuditRow, row_of
from service.errors import JournalError
from telemetry import log
from telemetry.record import TurnOpening, TurnRecord

T = TypeVar("T")


class Begun(Struct, frozen=True):
    """A turn that was let in: its number in this journal, and what was known of it."""

    seq: int
    opening: TurnOpening


class Closed(Struct, frozen=True, tag="turn"):
    """A turn that is over, as it was recorded: its row is made where nobody waits for it.

    `writer`, `seq` and `low` are what the row says of its journal.
    """

    writer: str | None
    seq: int
    low: int
    record: TurnRecord

    def row(self) -> AuditRow:
        """The row."""
        made = row_of(self.record)
        return structs.replace(made, writer=self.writer, writer_seq=self.seq, writer_low=self.low)


def encode(fact: Begun | Closed | AuditRow) -> bytes:
    """MessagePack of a fact."""
    try:
        return msgspec.msgpack.encode(fact)
    except UnicodeEncodeError:  # half of a surrogate pair
        return msgspec.msgpack.encode(log.printable(_plain(fact)))


def begun(content: bytes) -> Begun:
    """The fact again; raises JournalError where these bytes are none."""
    return _decoded(content, BEGUN)


def row(content: bytes) -> AuditRow:
    """The row of what is over; raises JournalError where these bytes are none."""
    fact: Closed | AuditRow = _decoded(content, OVER)
    return fact.row() if isinstance(fact, Closed) else fact


BEGUN: Decoder[Begun] = Decoder(Begun)
OVER: Decoder[Closed | AuditRow] = Decoder(Closed | AuditRow)


def _decoded(content: bytes, decoder: Decoder[T]) -> T:
    try:
        return decoder.decode(content)
    except msgspec.MsgspecError as error:
        raise JournalError("The journal holds an entry of another version.") from error


def _plain(fact: Struct) -> dict[str, Any]:
    tag = fact.__struct_config__.tag
    parts = {name: _part(getattr(fact, name)) for name in fact.__struct_fields__}
    return {"type": tag, **parts} if tag else parts


def _part(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_part(each) for each in value]  # pyright: ignore[reportUnknownVariableType] - of any facts
    return _plain(value) if isinstance(value, Struct) else value
