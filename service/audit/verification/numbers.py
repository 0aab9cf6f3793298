"""The numbers that writers gave their rows: one that never came is a row lost before it was sealed.

Refuses to call a number lost that may still come: only those below the greatest `writer_low` of their writer
count.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from service.audit.verification.piece import WRITER, WRITER_LOW, WRITER_SEQ, Row
from service.audit.verification.report import Findings, Kind
from service.audit.verification.span import Span, count_of, joined, spans_of, without

FIRST_NUMBER = 1
MOST_SPANS = 4_096
"""Spans of a writer before they are joined."""


Numbered = tuple[int, list[Span]]
"""The greatest `writer_low` of some rows of a writer, and their numbers."""


class Numbers:
    """The numbers seen, by writer."""

    def __init__(self, quarantined: Iterable[tuple[str, int]]) -> None:
        self._spans = defaultdict[str, list[Span]](list)
        self._low = defaultdict[str, int](int)
        for writer, number in quarantined:
            self._spans[writer].append((number, number))

    def take(self, rows: Sequence[Row]) -> None:
        """Note the numbers of rows; a row without a writer has none."""
        self.note(numbered_in(rows))

    def note(self, numbered: Mapping[str, Numbered]) -> None:
        """Note what writers numbered."""
        for writer, (low, written) in numbered.items():
            self._low[writer] = max(self._low[writer], low)
            spans = self._spans[writer]
            spans += written
            if len(spans) > MOST_SPANS:
                spans[:] = joined(spans)

    def judge(self, findings: Findings, accounted: int) -> None:
        """Tell the gaps, unless as many rows as are missing are `accounted` for as buried or damaged."""
        missing = {writer: self._missing(writer) for writer in self._low}
        if sum(map(count_of, missing.values())) <= accounted:
            return
        for writer, spans in missing.items():
            for first, last in spans:
                detail = f"Of writer {writer} the numbers {first} to {last} never came into the log."
                findings.add(Kind.GAP, None, None, detail)

    def _missing(self, writer: str) -> list[Span]:
        due = (FIRST_NUMBER, self._low[writer] - 1)
        return [*without([due], joined(self._spans[writer]))] if due[0] <= due[1] else []


def numbered_in(rows: Sequence[Row]) -> Mapping[str, Numbered]:
    """What each writer numbered in these rows."""
    writers = {row[WRITER] for row in rows}
    if len(writers) == 1:
        return {writer: _numbered(rows) for writer in writers if type(writer) is str}
    by_writer = defaultdict[str, list[Row]](list)
    for row in rows:
        by_writer[row[WRITER]].append(row)
    return {writer: _numbered(written) for writer, written in by_writer.items() if type(writer) is str}


def _numbered(rows: Sequence[Row]) -> Numbered:
    lows = [row[WRITER_LOW] for row in rows if type(row[WRITER_LOW]) is int]
    return max(lows, default=0), spans_of([row[WRITER_SEQ] for row in rows if type(row[WRITER_SEQ]) is int])
