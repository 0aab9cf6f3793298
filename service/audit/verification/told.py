"""One line of an export, or the proof of one event: what it shows, and what was sealed of it.

Refuses lines in which a byte of the sealed columns could stand otherwise than it did.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from service.audit.verification.content import commits
from service.seal.checkpoint import Checkpoint
from service.seal.leaf import COLUMNS, Value, canonical, leaf_hash
from service.seal.merkle import PathMalformed, root_from_path

SEAL, METADATA, QUERY = "seal", "metadata", "query"
LOG_INDEX = "logIndex"
COMMITMENT = COLUMNS.index("commitment")

Shown = Callable[[Sequence[Value]], Mapping[str, Any]]
"""What the visible line must say, by the sealed values; it may say more, such as a name or a text."""


class Seal(Struct, frozen=True, rename="camel"):
    """The proof that a line carries; the first has the checkpoint, and says whether all events are there."""

    log_index: int
    columns: bytes
    chain: str
    salt: str | None = None
    path: tuple[bytes, ...] | None = None
    checkpoint: str | None = None
    complete: bool = False


class Told(Struct, frozen=True):
    """One line: what it shows, its seal, the values that were sealed, and their leaf."""

    event: Mapping[str, Any]
    seal: Seal
    values: Sequence[Value]
    leaf: bytes

    @property
    def id(self) -> Value:
        """The event."""
        return self.values[0]


class Unreadable(Exception):
    """A line is none of an export's; its message says why."""


def documents(lines: Iterable[str]) -> Iterator[str]:
    """The JSON texts: one a line, or one that is spread over all of them; empty lines are none."""
    stripped = (each.strip() for each in lines)
    for line in filter(None, stripped):
        yield line if line != "{" else "\n".join([line, *stripped])


def told_in(line: str) -> Told:
    """Read a line.

    Raises:
        Unreadable: it is none of an export's.
    """
    try:
        event = msgspec.json.decode(line, type=dict[str, Any])
        seal = msgspec.convert(event.pop(SEAL, None), Seal, strict=True)
        values = msgspec.msgpack.decode(seal.columns, type=tuple[Any, ...])
    except (ValueError, RecursionError) as error:  # msgspec's own are ValueErrors
        raise Unreadable("it has no seal that can be read.") from error
    return Told(event, seal, sealed_in(values, seal.columns), leaf_hash(seal.columns))


def sealed_in(values: Sequence[Any], columns: bytes) -> Sequence[Value]:
    """The sealed values themselves, where they are a row's in its one right form."""
    known = all(value is None or isinstance(value, str | int | bytes) for value in values)
    if not known or len(values) != len(COLUMNS) or canonical(values) != columns:
        raise Unreadable("its sealed columns are not those of an event.")
    return values


def wrong_in(told: Told, shown: Shown) -> Iterator[str]:
    """What of a line's visible side is not what was sealed."""
    expected: dict[str, Any] = {**shown(told.values)}
    if LOG_INDEX in told.event:
        expected[LOG_INDEX] = told.seal.log_index
    for name, sealed in expected.items():
        if name not in told.event or not agrees(told.event[name], sealed):
            yield f"The field {name} does not say what was sealed."
    for text in texts_in(told.event):
        if not commits(told.values[COMMITMENT], unhex(told.seal.salt), text):
            yield "The text is not the one that was said."


def agrees(seen: Any, sealed: Any) -> bool:
    """Whether a visible value says what was sealed; an object may say more than that."""
    if isinstance(sealed, Mapping) and isinstance(seen, Mapping):
        fields, visible = cast("Mapping[str, Any]", sealed), cast("Mapping[str, Any]", seen)
        return all(name in visible and agrees(visible[name], fields[name]) for name in fields)
    if isinstance(sealed, Sequence) and isinstance(seen, list) and not isinstance(sealed, str | bytes):
        items, others = cast("Sequence[Any]", sealed), cast("list[Any]", seen)
        return len(items) == len(others) and all(map(agrees, others, items))
    if isinstance(seen, bool) or isinstance(sealed, bool):
        return seen is sealed  # True is 1 in Python and not in JSON
    return seen == sealed


def texts_in(event: Mapping[str, Any]) -> Iterator[Any]:
    """The texts a line shows: beside its metadata, or in it."""
    metadata = event.get(METADATA)
    inside = cast("dict[str, Any]", metadata) if isinstance(metadata, dict) else {}
    yield from (place[QUERY] for place in (event, inside) if place.get(QUERY) is not None)


def leads(told: Told, checkpoint: Checkpoint) -> bool:
    """Whether a line's path leads from its leaf to the signed root."""
    index, path = told.seal.log_index, told.seal.path
    try:
        return path is not None and root_from_path(index, checkpoint.size, told.leaf, path) == checkpoint.root
    except PathMalformed:
        return False


def unhex(said: str | None) -> bytes:
    """Bytes of hex; none where it is no hex."""
    try:
        return bytes.fromhex(said or "")
    except ValueError:
        return b""
