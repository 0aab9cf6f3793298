"""Texts against their commitments; what is gone against what was announced as erased.

Refuses to miss a text that went without a word: each commitment without content needs an erasure of its
subject in the log, before or after.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from service.audit.verification.piece import (
    COMMITMENT,
    ENTITY_TYPE,
    ERASED,
    ID,
    INDEX,
    LEAF,
    METADATA,
    SALT,
    SEALED,
    STATE,
    SUBJECT,
    TEXT,
    VALUES,
    Row,
)
from service.audit.verification.report import Findings, Kind
from service.audit.verification.span import Span, joined, without
from service.seal.content import mac
from service.seal.leaf import canonical, leaf_hash

ERASURE, RETENTION = "AUDIT_ERASURE", "AUDIT_RETENTION"
ANNOUNCEMENTS = {ERASURE, RETENTION}


class Announced(Struct, rename="camel"):
    """What an announcing event's metadata says: whose content was erased, which places were buried."""

    subject_id: str | None = None
    ranges: tuple[tuple[int, int], ...] = ()


class Gone(Struct):
    """Texts of one subject that are not there: the first, and how many."""

    log_index: int
    id: Any
    count: int = 0


class Contents:
    """Judges what was said, and what was erased or buried, by what the log announces."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._gone: dict[str | None, Gone] = {}
        self._erased: set[str] = set()
        self._buried: list[Span] = []
        self._announced: list[Span] = []

    def take(self, rows: Sequence[Row]) -> None:
        """Look at rows of the log."""
        for row in rows:
            if row[COMMITMENT] is not None or row[STATE] is not None:
                self._look(row)
            if row[ENTITY_TYPE] in ANNOUNCEMENTS:
                self._hear(row)

    def bury(self, first: int, count: int) -> None:
        """Note a run of which only leaves are left."""
        if count:
            self._buried.append((first, first + count - 1))

    def judge(self) -> None:
        """Tell what went unannounced."""
        for subject, gone in self._gone.items():
            if subject not in self._erased:
                detail = f"The text is gone and no erasure says so, of {gone.count} events of its subject."
                self._findings.add(Kind.DELETED, gone.log_index, gone.id, detail)
        for first, last in without(joined(self._buried), joined(self._announced)):
            detail = f"The events {first} to {last} were removed and no retention says so."
            self._findings.add(Kind.DELETED, first, None, detail)

    def _look(self, row: Row) -> None:
        text, salt, state = row[TEXT], row[SALT], row[STATE]
        if text is not None:
            if not commits(row[COMMITMENT], salt, text):
                self._altered(row, "The text is not the one that was said.")
        elif row[COMMITMENT] is None:
            self._unsaid(row)
        elif state != SEALED:
            self._miss(row)

    def _unsaid(self, row: Row) -> None:
        if row[STATE] != ERASED:
            self._altered(row, "There is content where nothing was said.")

    def _miss(self, row: Row) -> None:
        if row[SUBJECT] not in self._erased:
            gone = self._gone.setdefault(row[SUBJECT], Gone(row[INDEX], row[ID]))
            gone.count += 1

    def _altered(self, row: Row, detail: str) -> None:
        self._findings.add(Kind.ALTERED, row[INDEX], row[ID], detail)

    def _hear(self, row: Row) -> None:
        announced = announced_by(row)
        if row[ENTITY_TYPE] == ERASURE and announced.subject_id is not None:
            self._erased.add(announced.subject_id)
        if row[ENTITY_TYPE] == RETENTION:
            self._announced += announced.ranges


def judged_by_all(rows: Sequence[Row]) -> Sequence[Row]:
    """Those that the whole log has to judge, where every text that is there is the one that was said."""
    asked = [row for row in rows if row[TEXT] is None or row[ENTITY_TYPE] in ANNOUNCEMENTS]
    return [tuple(row) for row in asked if _calls_for_judgement(row)]


def _calls_for_judgement(row: Row) -> bool:
    if row[ENTITY_TYPE] in ANNOUNCEMENTS:
        return True
    wanting = row[COMMITMENT] is not None and row[STATE] != SEALED
    return row[TEXT] is None and (wanting or (row[COMMITMENT] is None and row[STATE] is not None))


def commits(commitment: object, salt: object, text: object) -> bool:
    """Whether a commitment is to this text under this salt."""
    if not isinstance(text, str) or not isinstance(salt, bytes):
        return False
    return mac(salt, text.encode("utf-8", "surrogatepass")) == commitment


def announced_by(row: Row) -> Announced:
    """What a row announces; nothing where it is not what was sealed, or says it in no form we know."""
    try:
        genuine = leaf_hash(canonical(row[VALUES])) == row[LEAF]
        return msgspec.json.decode(row[METADATA], type=Announced) if genuine else Announced()
    except (TypeError, ValueError, OverflowError):  # msgspec's own is a ValueError
        return Announced()
