"""Rows -> what the database keeps of them: the sealed event, its content apart, its tools, its words.

Refuses a name or a text a place in what is hashed: a subject's random id and a salted commitment stand there.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count, repeat
from operator import attrgetter
from secrets import token_bytes
from types import MappingProxyType
from typing import Any, cast

import msgspec
from msgspec import Struct, structs

from service.errors import RowRefused
from service.seal import content
from service.seal.content import SALT_BYTES
from service.seal.leaf import COLUMNS, canonical, leaf_hash
from service.seal.merkle import Frontier
from service.seal.vault import Vault
from service.store.row import AuditRow, Erased
from service.store.subjects import Named, Subject
from service.store.text import storable, storable_json
from service.store.words import words_of

EVENT = ("log_index", *COLUMNS, "leaf_hash", "chain_hash")
CONTENT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sqlite": ("log_index", "subject_id", "query", "sealed", "salt"),
        "postgres": ("log_index", "subject_id", "query", "sealed", "salt", "words"),
    }
)
WORDS = ("rowid", "words")
TOOL = ("log_index", "tool", "created_at")
TILE = ("level", "number", "root")
NO_OBJECT = "The metadata of a row is no JSON object."

Values = tuple[Any, ...]


class Content(Struct, frozen=True):
    """What was said in one event: clear or sealed text and its salt; all None where it was erased before."""

    log_index: int
    subject_id: str | None
    query: str | None = None
    sealed: bytes | None = None
    salt: bytes | None = None


class _Called(Struct, rename="camel"):
    tools_called: Any = ()


_called = msgspec.json.Decoder(_Called).decode
_names = attrgetter("id", "entity_type", "entity_id", "action")
_texts = attrgetter("role", "outcome", "category", "code", "model", "trace_id", "request_id")
_numbers = attrgetter("input_tokens", "output_tokens", "cost_micros", "response_time_ms", "count")
_journaled = attrgetter("writer", "writer_seq", "writer_low")


class Sealed(Struct, frozen=True):
    """What a batch adds to each table, and the log's frontier after it."""

    frontier: Frontier
    events: Sequence[Values]
    contents: Sequence[Content]
    tools: Sequence[Values]
    tiles: Sequence[Values]

    def contents_for(self, dialect: str) -> Sequence[Values]:
        """The rows of the contents' table."""
        kept = [structs.astuple(each) for each in self.contents]
        if dialect == "sqlite":
            return kept
        return [(*each, each[2] and words_of(each[2])) for each in kept]

    def words(self) -> Sequence[Values]:
        """The words of clear texts, by their event's place."""
        return [(each.log_index, " ".join(words_of(each.query))) for each in self.contents if each.query]


def seal(rows: Sequence[AuditRow], named: Named, frontier: Frontier) -> Sealed:
    """Give rows the next places in the log; the frontier grows."""
    first = frontier.size
    about = [named.of(row.actor_id, row.created_at) for row in rows]
    said = [*map(_said, rows, count(first), about, repeat(named.vault), _salts(len(rows)))]
    told = [storable_json(row.metadata) for row in rows]
    values = [*map(_values, rows, about, told, (commitment for _, commitment in said))]
    leaves = [leaf_hash(canonical(each)) for each in values]
    growth = frontier.extend(leaves)
    events = zip(count(first), values, leaves, growth.chains, strict=False)
    return Sealed(
        frontier,
        [(index, *each, leaf, link) for index, each, leaf, link in events],
        [each[0] for each in said if each[0]],
        [*chain.from_iterable(map(_tools, told, count(first), (row.created_at for row in rows)))],
        [(each.level, each.index, each.root) for each in growth.tiles],
    )


def _salts(number: int) -> Iterator[bytes]:
    """Salts for that many texts, drawn at once: each draw is a call of the system."""
    drawn = token_bytes(number * SALT_BYTES)
    return (drawn[start : start + SALT_BYTES] for start in range(0, len(drawn), SALT_BYTES))


def _tools(metadata: str, index: int, created_at: int) -> Iterator[Values]:
    for tool in dict.fromkeys(_tools_of(metadata)):
        yield index, storable(tool), created_at


def _said(
    row: AuditRow, index: int, subject: Subject | None, vault: Vault, salt: bytes
) -> tuple[Content | None, bytes | None]:
    """What is kept of what was said, and the commitment to it; both None where nothing was."""
    if row.query is None:
        return None, None
    subject_id = subject.id if subject else None
    if isinstance(row.query, Erased) or (subject and subject.user_id is None):
        return Content(index, subject_id), None  # it was erased before it came here: nothing to commit to
    text = storable(row.query)
    commitment = content.commitment(salt, text)
    if vault.sealed:
        return Content(index, subject_id, None, _sealed(text, row, subject, vault), salt), commitment
    return Content(index, subject_id, text, None, salt), commitment


def _sealed(text: str, row: AuditRow, subject: Subject | None, vault: Vault) -> bytes:
    if subject is None or subject.data_key is None:
        return vault.seal(text.encode(), storable(row.id))  # nobody's words, such as a command's
    return content.seal_text(vault.open_key(subject.data_key, subject.id), storable(row.id), text)


def _values(row: AuditRow, subject: Subject | None, metadata: str, commitment: bytes | None) -> Values:
    """What is hashed, in the order of COLUMNS."""
    return (
        *map(storable, _names(row)),
        subject.id if subject else None,
        *[None if text is None else storable(text) for text in _texts(row)],
        *_numbers(row),
        *(metadata, row.created_at, commitment),
        *_journaled(row),
    )


def _tools_of(metadata: str) -> Sequence[str]:
    """The tools that an event's metadata names; raises RowRefused where it is no JSON object."""
    # The one whole look at the JSON: what the databases check besides costs them more.
    try:
        called = _called(metadata).tools_called
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RowRefused(NO_OBJECT) from error
    return (
        [tool for tool in cast("list[Any]", called) if isinstance(tool, str)]
        if isinstance(called, list)
        else ()
    )
