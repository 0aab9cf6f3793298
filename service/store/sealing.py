"""Rows -> what the database keeps of them: the sealed event, its content apart, its tools, its words.

Refuses a name or a text a place in what is hashed: a subject's random id and a salted commitment stand there.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count, repeat
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct, structs

from service.seal import content
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

Values = tuple[Any, ...]


class Content(Struct, frozen=True):
    """What was said in one event: clear or sealed text and its salt; all None where it was erased before."""

    log_index: int
    subject_id: str | None
    query: str | None = None
    sealed: bytes | None = None
    salt: bytes | None = None


class _Called(Struct, rename="camel"):
    tools_called: tuple[Any, ...] = ()


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
        return [(*each, words_of(each[2]) if each[2] else None) for each in kept]

    def words(self) -> Sequence[Values]:
        """The words of clear texts, by their event's place."""
        return [(each.log_index, " ".join(words_of(each.query))) for each in self.contents if each.query]


def seal(rows: Sequence[AuditRow], named: Named, frontier: Frontier) -> Sealed:
    """Give rows the next places in the log; the frontier grows."""
    first = frontier.size
    about = [named.of(row.actor_id, row.created_at) for row in rows]
    said = [*map(_said, rows, count(first), about, repeat(named.vault))]
    values = [_values(row, whom, kept[1]) for row, whom, kept in zip(rows, about, said, strict=True)]
    leaves = [leaf_hash(canonical(each)) for each in values]
    growth = frontier.extend(leaves)
    events = zip(count(first), values, leaves, growth.chains, strict=False)
    return Sealed(
        frontier,
        [(index, *each, leaf, link) for index, each, leaf, link in events],
        [each[0] for each in said if each[0]],
        [*chain.from_iterable(map(_tools, rows, count(first)))],
        [(each.level, each.index, each.root) for each in growth.tiles],
    )


def _tools(row: AuditRow, index: int) -> Iterator[Values]:
    for tool in dict.fromkeys(_tools_of(row.metadata)):
        yield index, storable(tool), row.created_at


def _said(
    row: AuditRow, index: int, subject: Subject | None, vault: Vault
) -> tuple[Content | None, bytes | None]:
    """What is kept of what was said, and the commitment to it; both None where nothing was."""
    if row.query is None:
        return None, None
    subject_id = subject.id if subject else None
    if isinstance(row.query, Erased) or (subject and subject.user_id is None):
        return Content(index, subject_id), None  # it was erased before it came here: nothing to commit to
    text, salt = storable(row.query), content.new_salt()
    commitment = content.commitment(salt, text)
    if vault.sealed:
        return Content(index, subject_id, None, _sealed(text, row, subject, vault), salt), commitment
    return Content(index, subject_id, text, None, salt), commitment


def _sealed(text: str, row: AuditRow, subject: Subject | None, vault: Vault) -> bytes:
    if subject is None or subject.data_key is None:
        return vault.seal(text.encode(), storable(row.id))  # nobody's words, such as a command's
    return content.seal_text(vault.open_key(subject.data_key, subject.id), storable(row.id), text)


def _values(row: AuditRow, subject: Subject | None, commitment: bytes | None) -> Values:
    """What is hashed, in the order of COLUMNS."""
    return (
        *map(_value, (row.id, row.entity_type, row.entity_id, row.action)),
        subject.id if subject else None,
        *map(_value, (row.role, row.outcome, row.category, row.code)),
        *map(_value, (row.model, row.trace_id, row.request_id)),
        *(row.input_tokens, row.output_tokens, row.cost_micros, row.response_time_ms, row.count),
        storable_json(row.metadata),
        *(row.created_at, commitment, row.writer, row.writer_seq, row.writer_low),
    )


def _value(text: str | None) -> str | None:
    return None if text is None else storable(text)


def _tools_of(metadata: str) -> Sequence[str]:
    """The tools of an event's metadata; none where it is no such JSON, which is the database's to refuse."""
    try:
        called = msgspec.json.decode(metadata, type=_Called).tools_called
        return [tool for tool in called if isinstance(tool, str)]
    except (msgspec.MsgspecError, UnicodeError, TypeError):
        return ()
