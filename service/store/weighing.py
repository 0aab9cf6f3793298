"""Rows -> all that can be said of them before their places in the log and their subjects are known.

Refuses to ask the database: it is done while the rows before these are still being written.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from secrets import token_bytes
from typing import Any, cast

import msgspec
from msgspec import Struct

from service.errors import RowRefused
from service.seal.content import SALT_BYTES, commitment
from service.seal.vault import Vault
from service.store.row import AuditRow
from service.store.text import storable, storable_json
from service.store.words import words_of

NO_OBJECT = "The metadata of a row is no JSON object."
NO_TEXTS = tuple[str, ...]()

Values = tuple[Any, ...]


class Weighed(Struct, frozen=True, gc=False):
    """One row as the database can hold it; `values` are those of leaf.COLUMNS.

    Two of them are not known yet and None: the subject, and the commitment, which is beside. `text` is what
    was said, None where nothing was or nothing is left; `words` are those of a text that is kept in clear.
    `arguments` are what tools were called with.
    `charged` is what budgets are charged, `lease` names what was put aside for it.
    """

    id: str
    actor_id: str | None
    created_at: int
    values: Values
    tools: Sequence[str]
    said: bool
    text: str | None
    salt: bytes
    commitment: bytes | None
    words: Sequence[str] | None
    arguments: str | None
    lease: str | None
    charged: int


class _Called(Struct, rename="camel"):
    tools_called: Any = ()


_called = msgspec.json.Decoder(_Called).decode
_names = attrgetter("id", "entity_type", "entity_id", "action")
_texts = attrgetter("role", "outcome", "category", "code", "model", "trace_id", "request_id")
_numbers = attrgetter("input_tokens", "output_tokens", "cost_micros", "response_time_ms", "count")
_journaled = attrgetter("writer", "writer_seq", "writer_low")


def weigh(rows: Sequence[AuditRow], vault: Vault) -> list[Weighed]:
    """Weigh rows.

    Raises:
        RowRefused: one of them no database will take.
    """
    return [*map(_weighed, rows, _salts(len(rows)), (vault.sealed for _ in rows))]


def _salts(number: int) -> Iterator[bytes]:
    """Salts for that many texts, drawn at once: each draw is a call of the system."""
    drawn = token_bytes(number * SALT_BYTES)
    return (drawn[start : start + SALT_BYTES] for start in range(0, len(drawn), SALT_BYTES))


def _weighed(row: AuditRow, salt: bytes, sealed: bool) -> Weighed:  # noqa: FBT001 - mapped over many rows
    names, texts, metadata = _storable(row)
    query = row.query
    text = storable(query) if isinstance(query, str) else None
    return Weighed(
        names[0],
        row.actor_id,
        row.created_at,
        (*names, None, *texts, *_numbers(row), metadata, row.created_at, None, *_journaled(row)),
        _tools(metadata),
        query is not None,
        text,
        salt,
        None if text is None else commitment(salt, text),
        words_of(text) if text and not sealed else None,
        row.arguments,
        row.lease,
        max(row.charged_micros, row.cost_micros),
    )


def _storable(row: AuditRow) -> tuple[Values, Values, str]:
    """Names, texts and metadata; mostly they are plain, which one look at all of them shows."""
    names, texts, metadata = _names(row), _texts(row), row.metadata
    if _plain(names, texts, metadata):
        return names, texts, storable_json(metadata) if "\\u" in metadata else metadata
    written_out = tuple(None if text is None else storable(text) for text in texts)
    return tuple(map(storable, names)), written_out, storable_json(metadata)


def _plain(names: Values, texts: Values, metadata: Any) -> bool:
    try:
        whole = "".join((*names, *filter(None, texts), metadata))
    except TypeError:  # one of them is no text
        return False
    return whole.isascii() and "\0" not in whole


def _tools(metadata: str) -> Sequence[str]:
    """The tools that an event's metadata names, each once; raises RowRefused where it is no JSON object."""
    # The one whole look at the JSON: what the databases check besides costs them more.
    try:
        called = _called(metadata).tools_called
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RowRefused(NO_OBJECT) from error
    if not called or not isinstance(called, list):
        return NO_TEXTS
    texts = (tool for tool in cast("list[Any]", called) if isinstance(tool, str))
    return tuple(map(storable, dict.fromkeys(texts)))
