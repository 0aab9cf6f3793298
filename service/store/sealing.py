"""Weighed rows -> what the database keeps of them: the sealed event, its content apart, its tools, its words.

Refuses a name or a text a place in what is hashed: a subject's random id and a salted commitment stand there.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from service.seal import content
from service.seal.leaf import COLUMNS, Value, leaves_of
from service.seal.merkle import Frontier
from service.seal.vault import Vault
from service.store.subjects import Named, Subject
from service.store.weighing import Values, Weighed

EVENT = ("log_index", *COLUMNS, "leaf_hash", "chain_hash")
CONTENT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sqlite": ("log_index", "subject_id", "query", "sealed", "salt"),
        "postgres": ("log_index", "subject_id", "query", "sealed", "salt", "words"),
    }
)
WORDS = ("rowid", "words")
TOOL = ("log_index", "tool", "created_at")
ARGUMENTS = ("log_index", "subject_id", "sealed")
TILE = ("level", "number", "root")
SUBJECT, COMMITMENT = COLUMNS.index("subject_id"), COLUMNS.index("commitment")


class Sealed(Struct, frozen=True):
    """What a batch adds to each table, and the log's frontier after it; contents as on PostgreSQL."""

    frontier: Frontier
    events: Sequence[Values]
    contents: Sequence[Values]
    tools: Sequence[Values]
    tiles: Sequence[Values]
    arguments: Sequence[Values]

    def contents_for(self, dialect: str) -> Sequence[Values]:
        """The rows of the contents' table."""
        return [each[:-1] for each in self.contents] if dialect == "sqlite" else self.contents

    def words(self) -> Sequence[Values]:
        """The words of clear texts, by their event's place."""
        return [(each[0], " ".join(each[-1])) for each in self.contents if each[-1] is not None]


def seal(rows: Sequence[Weighed], named: Named, frontier: Frontier) -> Sealed:
    """Give rows the next places in the log; the frontier grows."""
    first = frontier.size
    contents: list[Values] = []
    values = [_placed(each, index, named, contents) for index, each in enumerate(rows, first)]
    leaves = leaves_of(values)
    growth = frontier.extend(leaves)
    events = zip(range(first, frontier.size), values, leaves, growth.chains, strict=True)
    return Sealed(
        frontier,
        [(index, *each, leaf, link) for index, each, leaf, link in events],
        contents,
        [(index, tool, each.created_at) for index, each in enumerate(rows, first) for tool in each.tools],
        [(each.level, each.index, each.root) for each in growth.tiles],
        [*_arguments(rows, first, named)],
    )


def _placed(row: Weighed, index: int, named: Named, contents: list[Values]) -> Sequence[Value]:
    """What is hashed, in the order of COLUMNS; what is kept of what was said joins the contents."""
    subject = named.of(row.actor_id, row.created_at)
    values: list[Value] = [*row.values]
    values[SUBJECT] = subject.id if subject else None
    if not row.said:
        return values
    if row.text is None or (subject and subject.user_id is None):
        # It was erased before it came here: nothing to commit to.
        contents.append((index, values[SUBJECT], None, None, None, None))
        return values
    values[COMMITMENT] = row.commitment
    sealed = _sealed(row.id, row.text, subject, named.vault) if named.vault.sealed else None
    text = None if sealed else row.text
    contents.append((index, values[SUBJECT], text, sealed, row.salt, row.words))
    return values


def _arguments(rows: Sequence[Weighed], first: int, named: Named) -> Iterator[Values]:
    """What tools were called with: always sealed, and nothing of it where there is no key or nobody."""
    for index, row in enumerate(rows, first):
        subject = named.of(row.actor_id, row.created_at) if row.arguments is not None else None
        if row.arguments is None or subject is None or subject.user_id is None or not named.vault.masters:
            continue
        yield index, subject.id, _sealed(arguments_of(row.id), row.arguments, subject, named.vault)


def arguments_of(event_id: str) -> str:
    """The name under which what an event's tools were called with is sealed."""
    return f"{event_id}/arguments"


def _sealed(name: str, text: str, subject: Subject | None, vault: Vault) -> bytes:
    if subject is None or subject.data_key is None:
        return vault.seal(text.encode(), name)  # nobody's words, such as a command's
    return content.seal_text(vault.open_key(subject.data_key, subject.id), name, text)
