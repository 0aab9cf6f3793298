"""A log in memory as an honest store keeps it, with all that an owner of the database may do to it.

Refuses to use the verification: it seals with hashes alone.
"""

import hashlib
import hmac
import random
from collections.abc import Sequence

import msgspec

from service.audit.verification.anchors import Keys
from service.audit.verification.piece import Buried
from service.audit.verify import Verification
from service.seal.checkpoint import Checkpoint, Signer, Verifier
from service.seal.keys import derived, public_of
from service.seal.leaf import COLUMNS
from service.seal.merkle import Peaks

ORIGIN = "parley.example/log"
SIGNER, STRANGER = Signer(derived(b"k" * 32)), Signer(derived(b"x" * 32))
KEYS = Keys([Verifier(public_of(derived(b"k" * 32)))], ORIGIN)
MINUTE = 60_000_000
NOON = 1_795_780_800_000_000


class Line:
    """One row with its content; mutable, as everything is to who owns the database."""

    def __init__(self, index: int, values: dict, text: str | None) -> None:
        self.index, self.values = index, values
        self.text, self.salt, self.state = text, None, None
        if text is not None:
            self.salt = hashlib.sha256(b"%d" % index).digest()
            self.state = "clear"
            values["commitment"] = hmac.digest(self.salt, text.encode(), "sha256")
        self.leaf = self.chain = b""

    def own_leaf(self) -> bytes:
        packed = msgspec.msgpack.encode([self.values[each] for each in COLUMNS])
        return hashlib.sha256(b"\x00" + packed).digest()

    def row(self) -> tuple:
        columns = (self.values[each] for each in COLUMNS)
        return (self.index, self.leaf, self.chain, *columns, self.text, self.salt, self.state)

    def copy(self) -> "Line":
        other = Line.__new__(Line)
        other.__dict__ = dict(self.__dict__, values=dict(self.values))
        return other


class Log:
    """Rows, the notes in the database and those kept elsewhere."""

    def __init__(self, count: int, *, every: int = 20, outside: Sequence[int] = (), seed: int = 0) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a log to test with
        self.lines: list[Line] = []
        self.numbers = {"a" * 32: 0, "b" * 32: 0}
        self.notes: list[str] = []
        self.outside: list[str] = []
        self.quarantined: set[tuple[str, int]] = set()
        self.buried: dict[int, bytes] = {}
        self.known_size = 0
        for _ in range(count):
            self.append()
        for size in range(every, count + 1, every):
            self.notes.append(self.note(size))
        for size in outside:
            self.outside.append(self.note(size))

    def append(self, *, entity_type: str = "AGENT_QUERY", metadata: str = '{"count":1}', **values) -> Line:
        """Seal one more row."""
        index = len(self.lines)
        writer = values.pop("writer", None) or self.random.choice(list(self.numbers))
        self.numbers[writer] += 1
        number = self.numbers[writer]
        filled = dict.fromkeys(COLUMNS, None)
        filled |= {"id": f"event-{index}", "entity_type": entity_type, "entity_id": f"turn-{index}"}
        filled |= {"action": "QUERY", "subject_id": f"subject-{index % 5}", "role": "AUDITEE"}
        filled |= {"outcome": "answered", "request_id": f"request-{index}", "metadata": metadata}
        filled |= {"input_tokens": index, "output_tokens": 2, "cost_micros": 3, "count": 1}
        filled |= {"created_at": NOON + index, "writer": writer, "writer_seq": number}
        filled |= {"writer_low": max(1, number - 1)} | values
        line = Line(
            index, filled, None if entity_type != "AGENT_QUERY" or index % 4 == 3 else f"text {index}"
        )
        self.lines.append(line)
        self.seal(index)
        return line

    def seal(self, first: int, *, leaves: bool = True) -> None:
        """Compute leaves (unless told not to) and chains anew from a place on, in the order of the list."""
        chain = self.lines[first - 1].chain if first else bytes(32)
        for line in self.lines[first:]:
            if leaves:
                line.leaf = line.own_leaf()
            chain = line.chain = hashlib.sha256(chain + line.leaf).digest()

    def renumber(self) -> None:
        for index, line in enumerate(self.lines):
            line.index = index

    def checkpoint(self, size: int, *, origin: str = ORIGIN) -> Checkpoint:
        peaks = Peaks()
        peaks.extend([line.leaf for line in self.lines[:size]])
        chain = self.lines[size - 1].chain if size else bytes(32)
        return Checkpoint(origin, size, peaks.root(), NOON + size * MINUTE, chain)

    def note(self, size: int, signer: Signer = SIGNER, *, origin: str = ORIGIN) -> str:
        return signer.note(self.checkpoint(size, origin=origin))

    def bury(self, first: int, last: int) -> None:
        """Keep only the leaves of places, as retention does."""
        self.buried |= {index: self.lines[index].leaf for index in range(first, last + 1)}

    def erase(self, subject: str) -> None:
        """Erase the content of a subject, as an erasure does."""
        for line in self.lines:
            if line.values["subject_id"] == subject and line.state:
                line.text = line.salt = None
                line.state = "erased"

    def announce_erasure(self, subject: str) -> None:
        self.append(entity_type="AUDIT_ERASURE", metadata=f'{{"subjectId":"{subject}","count":1}}')

    def announce_retention(self, first: int, last: int) -> None:
        self.append(entity_type="AUDIT_RETENTION", metadata=f'{{"ranges":[[{first},{last}]],"count":1}}')

    def pieces(self, length: int = 7):
        """What a store hands over: rows in the order of their places, in lists, and buried runs."""
        rows: list[tuple] = []
        for line in sorted(self.lines, key=lambda line: line.index):
            leaf = self.buried.get(line.index)
            if rows and (leaf or len(rows) == length):
                yield rows
                rows = []
            if leaf:
                yield Buried(line.index, [leaf])
            else:
                rows.append(line.row())
        yield from [rows] if rows else []

    def verify(self, length: int = 7):
        verification = Verification(
            KEYS, self.notes, self.outside, quarantined=self.quarantined, known_size=self.known_size
        )
        for piece in self.pieces(length):
            verification.take(piece)
        return verification.report()

    def copy(self) -> "Log":
        other = Log(0)
        other.__dict__ |= dict(self.__dict__)
        other.lines = [line.copy() for line in self.lines]
        other.notes, other.outside = list(self.notes), list(self.outside)
        other.buried, other.quarantined = dict(self.buried), set(self.quarantined)
        other.numbers = dict(self.numbers)
        return other
