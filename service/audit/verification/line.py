"""The log as one line: indexes without a hole, each chain out of the one before, the tree at each checkpoint.

Refuses to stop at damage: behind it, the stored chain is what the next checkpoint is held against.
"""

from collections import deque
from collections.abc import Sequence
from itertools import accumulate

from msgspec import Struct

from service.audit.verification.anchors import Anchors
from service.audit.verification.breaks import WINDOW, Break, Breaks, Entry
from service.audit.verification.piece import CHAIN, ID, INDEX, LEAF, Row
from service.audit.verification.report import Findings, Kind
from service.audit.verification.stretch import Stretch, stretches_of
from service.seal.leaf import GENESIS, chain_hash, chained
from service.seal.merkle import EMPTY, Peaks

HASH_BYTES = 32
FAR = "The row stands behind the end of the log."


class Before(Struct, frozen=True):
    """The line as it was before the entry that broke it, and the leaf that this one's columns have."""

    broken: Break
    own: bytes | None
    peaks: Peaks
    chain: bytes
    damaged: bool

    def leaf_before(self, entry: Entry) -> bytes | None:
        """The leaf, stored or computed, by which the next entry links: then the stored chain is wrong."""
        for leaf in (self.broken.entry.leaf, self.own):
            if leaf and chain_hash(chain_hash(self.chain, leaf), entry.leaf) == entry.chain:
                return leaf
        return None


class Hole(Struct):
    """Places without a row from `start` up to an entry; `lone` while nothing links to that one."""

    start: int
    entry: Entry
    lone: bool = True


class Line:
    """Walks along a log. `next` is the index that is due, `lost` how many rows are missing or damaged."""

    def __init__(self, anchors: Anchors, findings: Findings) -> None:
        self._anchors, self._findings, self._breaks = anchors, findings, Breaks(findings)
        self.next, self.lost, self.flaws = 0, 0, 0
        self._peaks, self._chain, self._damaged = Peaks(), GENESIS, False
        self._known = True  # whether the chain before the next entry is
        self._recent = deque[Entry](maxlen=WINDOW)
        self._before: Before | None = None
        self._flaws_at_anchor = 0
        self._attested = 0  # how far stored chains have confirmed the leaves
        self._hole: Hole | None = None
        self._pass_anchors()

    @property
    def root(self) -> bytes | None:
        """The root of the tree; None where damage leaves none."""
        return None if self._damaged else self._peaks.root()

    def cuts(self, until: int) -> Sequence[int]:
        """The sizes up to one at which the log is held against a checkpoint: stretches have to end there."""
        return self._anchors.sizes(until)

    def joins(self, first: Entry, stretches: Sequence[Stretch]) -> bool:
        """Whether stretches of which this is the first entry are the next ones."""
        if not self._known or first.index != self.next:
            return False
        ends = [*accumulate((each.count for each in stretches), initial=self.next)]
        linked = chain_hash(self._chain, first.leaf) == first.chain
        return linked and {*self._anchors.sizes(ends[-1])} <= {*ends}

    def accept(self, stretches: Sequence[Stretch], last: Sequence[Entry]) -> None:
        """Go on by stretches that join; `last` are the last entries of them."""
        for stretch in stretches:
            self._grow(stretch)
            self.next, self._chain = self.next + stretch.count, stretch.chain
            self._pass_anchors()
        self._close()
        self._recent.extend(last)
        self._before, self._attested = None, self.next

    def bury(self, first: int, leaves: Sequence[bytes]) -> None:
        """Go on by leaves without their rows."""
        if first < self.next:
            detail = "Leaves of removed events stand where events do."
            self._flaw(Kind.INSERTED, first, None, detail)
            first, leaves = self.next, leaves[self.next - first :]
        if first > self.next:
            self._open(first, Entry(first, None, EMPTY, EMPTY))
        if leaves:
            attested, chains = self._attested, chained(self._chain, leaves)
            stretches = stretches_of(first, leaves, chains, self.cuts(first + len(leaves)))
            self.accept(stretches, last_of(first, leaves, chains))
            self._attested = attested

    def take(self, row: Row, leaf: bytes | None) -> None:
        """Go on by one row; `leaf` is what its columns hash to, None where nothing does."""
        index = row[INDEX]
        if type(index) is not int or index < 0:
            self._flaw(Kind.INSERTED, None, row[ID], "The row has no place in the log.")
            return
        entry = Entry(index, row[ID], hash_in(row[LEAF]), hash_in(row[CHAIN]))
        if index < self.next:
            self._again(entry, leaf)
            return
        if index > self.next:
            self._open(index, entry)
        self._go_on(entry, leaf)

    def finish(self, known_size: int) -> None:
        """Judge what can be judged once all was seen; `known_size` is how far others say that it goes."""
        if self._hole and self._hole.lone and self._hole.start >= known_size > 0:
            self._findings.add(Kind.INSERTED, self._hole.entry.index, self._hole.entry.id, FAR)
            self.next, self._hole = self._hole.start, None
        self._close()
        self._breaks.judge()

    def _go_on(self, entry: Entry, leaf: bytes | None) -> None:
        """Go on by an entry at the index that is due."""
        if leaf == entry.leaf:
            self._link(entry, leaf)
            return
        self.lost += 1
        self._findings.add(Kind.ALTERED, entry.index, entry.id, "The row has not the hash that is stored.")
        if leaf and self._known and chain_hash(self._chain, leaf) == entry.chain:
            entry = Entry(entry.index, entry.id, leaf, entry.chain)  # it is the stored hash that was changed
        self._link(entry, leaf)

    def _link(self, entry: Entry, own: bytes | None) -> None:
        """Append an entry; where it does not link, note a break, unless its columns told that already."""
        before, due = self._before, chain_hash(self._chain, entry.leaf)
        self._before = None
        if self._known and due != entry.chain and not self._mends(before, entry):
            self._break(entry, own)
        if self._known and self._hole:
            self._hole.lone = False
        self._known, self._chain = True, entry.chain
        self._peaks.extend([entry.leaf])
        self._recent.append(entry)
        self.next += 1
        self._attested = self.next
        self._pass_anchors()

    def _break(self, entry: Entry, own: bytes | None) -> None:
        broken = Break(entry, ()) if own != entry.leaf else self._breaks.add(entry, self._recent)
        self._anchors.forgive(self._attested)
        self._before = Before(broken, own, self._peaks.copy(), self._chain, self._damaged)
        self._damaged = True
        self.flaws += 1
        self.lost += 1

    def _mends(self, before: Before | None, entry: Entry) -> bool:
        """Whether the row before broke by its stored hashes alone; the tree then has its true leaf."""
        leaf = before.leaf_before(entry) if before else None
        if not before or not leaf:
            return False
        self._peaks, self._damaged = before.peaks, before.damaged
        self._peaks.extend([leaf])
        return True

    def _again(self, entry: Entry, leaf: bytes | None) -> None:
        """An index for the second time: the one that links is the row, the other was put in."""
        before = self._before
        last = before and before.broken.entry.index == entry.index
        if before and last and chain_hash(before.chain, entry.leaf) == entry.chain:
            before.broken.kind = Kind.INSERTED
            self._peaks, self._chain, self._damaged = before.peaks, before.chain, before.damaged
            self.next = entry.index
            self._go_on(entry, leaf)
            return
        self._flaw(Kind.INSERTED, entry.index, entry.id, "The row stands where another does.")

    def _open(self, index: int, entry: Entry) -> None:
        """Places without a row: those between were taken out, or this one was put in far behind the end."""
        self._close()
        self._hole = Hole(self.next, entry)
        self._damaged, self._known, self._before = True, False, None
        self._recent.clear()
        self._anchors.skip(index)
        self.next, self.flaws = index, self.flaws + 1

    def _close(self) -> None:
        """Tell the last hole: nothing speaks for a row behind it that was put in."""
        if self._hole:
            start, count = self._hole.start, self._hole.entry.index - self._hole.start
            self._findings.add(Kind.DELETED, start, None, f"{count} rows are missing.")
            self.lost += count
        self._hole = None

    def _flaw(self, kind: Kind, index: int | None, event_id: object, detail: str) -> None:
        self.flaws += 1
        self._findings.add(kind, index, event_id, detail)

    def _grow(self, stretch: Stretch) -> None:
        """Take a stretch's leaves into the tree; where that is damaged, no place in it is any leaf's."""
        for height, root in () if self._damaged else stretch.roots:
            self._peaks.extend([root], height)

    def _pass_anchors(self) -> None:
        if self._anchors.next != self.next:
            return
        whole = self.flaws == self._flaws_at_anchor
        if self._known and self._anchors.pass_by(self.next, self.root, self._chain, whole=whole):
            self._flaws_at_anchor = self.flaws


def last_of(first: int, leaves: Sequence[bytes], chains: Sequence[bytes]) -> Sequence[Entry]:
    """The last entries of leaves that have no rows any more."""
    end = first + len(leaves)
    places = range(max(first, end - WINDOW), end)
    return [Entry(place, None, leaves[place - first], chains[place - first]) for place in places]


def hash_in(value: object) -> bytes:
    """A stored hash; what is none links to nothing."""
    return value if isinstance(value, bytes) and len(value) == HASH_BYTES else EMPTY
