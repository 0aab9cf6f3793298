"""Verification of a log: every row, every link, every checkpoint, every text, in one pass.

Refuses to trust the database: the public key, and checkpoints kept elsewhere, are what it is held against.
Pure: rows are handed to it in the order of their places, in lists of any length.
"""

import sys
from collections.abc import Iterable, Sequence

from service.audit.verification.anchors import Anchors, Keys
from service.audit.verification.content import Contents
from service.audit.verification.digest import Digest, digest
from service.audit.verification.line import Line
from service.audit.verification.numbers import Numbers
from service.audit.verification.piece import VALUES, Buried, Row
from service.audit.verification.report import Finding, Findings, Kind, Report
from service.seal.checkpoint import Verifier
from service.seal.leaf import Value, leaves_of

__all__ = ["Buried", "Finding", "Keys", "Kind", "Report", "Row", "Verification", "Verifier", "verify"]

Piece = Sequence[Row] | Buried


class Verification:
    """Takes a log piece by piece, then reports.

    `checkpoints` are the database's own notes, `outside` those kept elsewhere, `quarantined` the
    `(writer, number)` of rows known to be in quarantine, `known_size` how many places the database itself
    knows of, by its tiles for one. All of them are to be of the same moment as the rows, or an earlier one.
    """

    def __init__(
        self,
        keys: Keys,
        checkpoints: Iterable[str] = (),
        outside: Iterable[str] = (),
        *,
        quarantined: Iterable[tuple[str, int]] = (),
        known_size: int = 0,
    ) -> None:
        self._findings = Findings()
        self._anchors = Anchors(keys, checkpoints, outside, self._findings)
        self._line = Line(self._anchors, self._findings)
        self._contents, self._numbers = Contents(self._findings), Numbers(quarantined)
        self._known_size, self._rows, self._buried = known_size, 0, 0

    def take(self, piece: Piece) -> None:
        """Look at the next rows, or at the leaves that retention left of them."""
        if isinstance(piece, Buried):
            self._bury(piece)
            return
        held = digest(piece, self.cuts(self._line.next + len(piece)))
        if held is None or not self.accept(held):
            self._step(piece)

    def cuts(self, until: int = sys.maxsize) -> Sequence[int]:
        """The sizes up to one at which the log is held against a checkpoint: those that are still ahead."""
        return self._line.cuts(until)

    def accept(self, held: Digest) -> bool:
        """Look at the digest of the next rows; False where the rows themselves have to be taken."""
        if not self._line.joins(held.first, held.stretches):
            return False
        self._line.accept(held.stretches, held.last)
        self._rows += held.count
        self._contents.take(held.told)
        self._numbers.note(held.numbered)
        return True

    def report(self) -> Report:
        """The verdict; to be asked for once, when all was taken."""
        self._line.finish(max(self._known_size, self._anchors.greatest))
        self._contents.judge()
        self._anchors.finish(self._line.next, self._known_size)
        self._numbers.judge(self._findings, self._buried + self._line.lost)
        return Report(
            valid=not self._findings.count,
            rows=self._rows,
            freshness=self._anchors.freshness,
            findings=self._findings.in_order(),
            found=self._findings.count,
            size=self._line.next,
            root=self._line.root,
            checkpoint_size=self._anchors.proven,
            refused=self._anchors.refused,
        )

    def _bury(self, piece: Buried) -> None:
        self._buried += len(piece.leaves)
        self._contents.bury(piece.first, len(piece.leaves))
        self._line.bury(piece.first, piece.leaves)

    def _step(self, rows: Sequence[Row]) -> None:
        """Go row by row, where a list is not as it should be."""
        for row in rows:
            self._line.take(row, leaf_of(row[VALUES]))
        self._rows += len(rows)
        self._contents.take(rows)
        self._numbers.take(rows)


def verify(
    pieces: Iterable[Piece],
    keys: Keys,
    checkpoints: Iterable[str] = (),
    outside: Iterable[str] = (),
    *,
    quarantined: Iterable[tuple[str, int]] = (),
    known_size: int = 0,
) -> Report:
    """Verify a whole log at once; see `Verification`."""
    verification = Verification(keys, checkpoints, outside, quarantined=quarantined, known_size=known_size)
    for piece in pieces:
        verification.take(piece)
    return verification.report()


def leaf_of(values: Sequence[Value]) -> bytes | None:
    """The leaf of values; None where they cannot be a row's."""
    try:
        return leaves_of([values])[0]
    except (TypeError, ValueError, OverflowError):
        return None
