"""Verification of what was handed out: an exported file, or the proof of a single event.

Refuses to need the database: the public key, the file and its checkpoint are all there is. Of a whole log it
keeps nothing but leaf hashes, of anything else nothing but the places.
"""

from collections.abc import Iterable, Sequence

from service.audit.verification.anchors import Anchors, Keys
from service.audit.verification.line import Line
from service.audit.verification.report import UNPROVEN, Findings, Kind, Report
from service.audit.verification.told import (
    Shown,
    Told,
    Unreadable,
    documents,
    leads,
    told_in,
    unhex,
    wrong_in,
)
from service.seal.checkpoint import Checkpoint, NotGenuine
from service.seal.leaf import chain_hash

__all__ = ["Keys", "Report", "Shown", "verify_export"]


def verify_export(lines: Iterable[str], keys: Keys, shown: Shown, outside: Iterable[str] = ()) -> Report:
    """Verify an export in JSON lines, or one event's proof; `outside` are checkpoints kept elsewhere."""
    proof = Export(keys, shown, tuple(outside))
    for number, line in enumerate(documents(lines), 1):
        proof.take(number, line)
    return proof.report()


class Export:
    """Takes an export line by line."""

    def __init__(self, keys: Keys, shown: Shown, outside: Sequence[str]) -> None:
        self._keys, self._shown, self._outside = keys, shown, outside
        self._findings, self._rows = Findings(), 0
        self._checkpoint: Checkpoint | None = None
        self._note, self._complete = "", False
        self._later: Told | None = None  # the line before, which is the event after
        self._leaves: list[bytes] = []
        self._seen: set[int] = set()

    def take(self, number: int, line: str) -> None:
        """Look at the next line."""
        self._rows += 1
        try:
            told = told_in(line)
        except Unreadable as error:
            self._findings.add(Kind.ALTERED, None, None, f"Line {number}: {error}")
            told = None
        if number == 1:
            self._open(told)
        if told:
            self._look(told)

    def report(self) -> Report:
        """The verdict."""
        if not self._rows:
            self._findings.add(Kind.TRUNCATED, None, None, "There is nothing in it, not even a checkpoint.")
        freshness, refused = self._end() if self._checkpoint else (UNPROVEN, 0)
        checkpoint, valid = self._checkpoint, not self._findings.count
        return Report(
            valid=valid,
            rows=self._rows,
            freshness=freshness,
            findings=self._findings.in_order(),
            found=self._findings.count,
            size=checkpoint.size if checkpoint else 0,
            root=checkpoint.root if checkpoint else None,
            checkpoint_size=checkpoint.size if checkpoint and valid else 0,
            refused=refused,
        )

    def _open(self, told: Told | None) -> None:
        """Read the checkpoint of the first line."""
        self._note = (told and told.seal.checkpoint) or ""
        self._complete = bool(told and told.seal.complete)
        try:
            self._checkpoint = self._keys.read(self._note)
        except NotGenuine as error:
            self._findings.add(Kind.ALTERED, None, None, f"The checkpoint does not hold: {error.detail}")

    def _look(self, told: Told) -> None:
        for detail in wrong_in(told, self._shown):
            self._tell(Kind.ALTERED, told, detail)
        if not self._checkpoint:
            return
        if self._complete:
            self._stand(told, self._checkpoint)
        else:
            self._prove(told, self._checkpoint)

    def _prove(self, told: Told, checkpoint: Checkpoint) -> None:
        """Judge a line by its own path."""
        if not leads(told, checkpoint):
            self._tell(Kind.ALTERED, told, "The event is not the one that was signed.")
        elif told.seal.log_index in self._seen:
            self._tell(Kind.INSERTED, told, "The event is there twice.")
        self._seen.add(told.seal.log_index)

    def _stand(self, told: Told, checkpoint: Checkpoint) -> None:
        """Judge a line by the one before: the newest event comes first, and none is missing."""
        index, above = told.seal.log_index, self._later.seal.log_index if self._later else checkpoint.size
        if index >= above:
            twice = index == above or not self._later
            self._tell(Kind.INSERTED if twice else Kind.REORDERED, told, "The event is not at its place.")
            return
        if index < above - 1:
            self._missing(Kind.DELETED if self._later else Kind.TRUNCATED, index + 1, above)
        elif not self._links(told, checkpoint):
            self._tell(Kind.ALTERED, self._later or told, "The event does not link to the one before.")
        self._later = told
        self._leaves.append(told.leaf)

    def _missing(self, kind: Kind, first: int, end: int) -> None:
        self._findings.add(kind, first, None, f"{end - first} events are missing.")

    def _links(self, told: Told, checkpoint: Checkpoint) -> bool:
        """Whether the event after this one links to it; the last to the checkpoint."""
        chain = told.seal.chain
        if self._later:
            return chain_hash(unhex(chain), self._later.leaf) == unhex(self._later.seal.chain)
        return unhex(chain) == checkpoint.chain

    def _end(self) -> tuple[str, int]:
        """Hold what was collected against the checkpoints: freshness, and notes that are no log's of ours."""
        if self._complete and self._later and self._later.seal.log_index > 0:
            self._missing(Kind.DELETED, 0, self._later.seal.log_index)
        anchors = Anchors(self._keys, [self._note], self._outside, self._findings)
        if self._complete and not self._findings.count:
            self._grow(anchors)
        elif self._checkpoint:
            anchors.skip(self._checkpoint.size - 1)
            anchors.pass_by(self._checkpoint.size, self._checkpoint.root, self._checkpoint.chain, whole=True)
            anchors.settle()
        return anchors.freshness, anchors.refused

    def _grow(self, anchors: Anchors) -> None:
        """Build the whole log's tree; what is found is found by its checkpoints."""
        self._leaves.reverse()
        Line(anchors, self._findings).bury(0, self._leaves)
        anchors.settle()

    def _tell(self, kind: Kind, told: Told, detail: str) -> None:
        self._findings.add(kind, told.seal.log_index, told.id, detail)
