"""Checkpoints as fixed points along a log: at each size the tree's root and the chain are the signed ones.

Refuses to repeat itself: where the log has left what was signed, that is told once, at the first place that
can be meant.
"""

from collections.abc import Iterable, Sequence
from itertools import takewhile

from msgspec import Struct

from service.audit.verification.report import UNPROVEN, Findings, Kind
from service.seal.checkpoint import Checkpoint, NotGenuine, Verifier, read, unsigned
from telemetry.timestamp import timestamp


class Anchor(Struct, frozen=True):
    """A genuine checkpoint, and whether it was kept outside the database."""

    checkpoint: Checkpoint
    outside: bool


class Keys(Struct, frozen=True):
    """Who may have signed, and for which log; `origin` None takes any that the keys signed."""

    verifiers: Sequence[Verifier]
    origin: str | None = None

    def read(self, note: str) -> Checkpoint:
        """The checkpoint of a note of this log.

        Raises:
            NotGenuine: it is none.
        """
        checkpoint = read(note, self.verifiers)
        if self.origin not in {None, checkpoint.origin}:
            raise NotGenuine("The checkpoint is one of another log.")
        return checkpoint


class Anchors:
    """The checkpoints of a log in the order of their sizes; a walk along the log passes each once."""

    def __init__(self, keys: Keys, inside: Iterable[str], outside: Iterable[str], findings: Findings) -> None:
        self._keys, self._findings = keys, findings
        self.refused, self._foreign = 0, False
        self.proven, self._diverged = 0, False
        self._newest_inside, self._fresh = 0, -1
        self._different: tuple[Anchor, int] | None = None
        anchors = [*self._inside(inside), *self._outside(outside)]
        self._ahead = sorted(anchors, key=lambda each: each.checkpoint.size, reverse=True)
        self.greatest = max((each.checkpoint.size for each in anchors), default=0)

    @property
    def next(self) -> int | None:
        """The size of the next anchor; None behind the last."""
        return self._ahead[-1].checkpoint.size if self._ahead else None

    def sizes(self, until: int) -> Sequence[int]:
        """The sizes of those that are ahead, in order, up to one."""
        ahead = (each.checkpoint.size for each in reversed(self._ahead))
        return [*takewhile(until.__ge__, ahead)]

    @property
    def freshness(self) -> str:
        """The time of the newest checkpoint kept elsewhere that the log contains."""
        return UNPROVEN if self._fresh < 0 else timestamp(self._fresh)

    def skip(self, size: int) -> None:
        """Pass the anchors up to a size without judging: what they are of is not there."""
        while self._ahead and self._ahead[-1].checkpoint.size <= size:
            self._ahead.pop()

    def pass_by(self, size: int, root: bytes | None, chain: bytes, *, whole: bool) -> bool:
        """Judge the anchors of this size; say whether one held. `root` is None where the tree is damaged.

        `whole` says that nothing was found since the last anchor that held: then a difference is news.
        """
        held = False
        while self.next == size:
            held = self._judge(self._ahead.pop(), root, chain, whole=whole) or held
        return held

    def forgive(self, attested: int) -> None:
        """Take back a difference behind this size: something that broke there is why."""
        if self._different and self._different[0].checkpoint.size >= attested:
            self._different = None

    def finish(self, size: int, known_size: int) -> None:
        """Judge the end: whether the log reaches all that is known of it."""
        self.settle()
        if size < max(self._newest_inside, known_size):
            detail = f"The log ends at {size}, and the database itself knows of more."
            self._findings.add(Kind.TRUNCATED, size, None, detail)
        elif size < self.greatest:
            detail = (
                f"The log ends at {size}, a checkpoint kept elsewhere is of {self.greatest}: an old copy."
            )
            self._findings.add(Kind.REPLAYED, size, None, detail)

    def settle(self) -> None:
        """Tell the difference that nothing explained."""
        if self._different:
            self._differ(*self._different)
        self._different = None

    def _judge(self, anchor: Anchor, root: bytes | None, chain: bytes, *, whole: bool) -> bool:
        signed = anchor.checkpoint
        if root in {None, signed.root} and chain == signed.chain:
            self.settle()
            self.proven, self._diverged = signed.size, False
            self._fresh = max(self._fresh, signed.time) if anchor.outside else self._fresh
            return True
        if whole and not self._diverged:
            self._different = (anchor, self.proven)
        self._diverged = True
        return False

    def _differ(self, anchor: Anchor, proven: int) -> None:
        """The log is consistent and not what was signed: an old copy that went on, or one written anew."""
        size = anchor.checkpoint.size
        old = not self._foreign and self._newest_inside < size
        detail = f"The log is not the one whose checkpoint of {size} was signed; it is up to {proven}."
        self._findings.add(Kind.REPLAYED if old else Kind.ALTERED, proven, None, detail)

    def _inside(self, notes: Iterable[str]) -> Iterable[Anchor]:
        for note in notes:
            try:
                checkpoint = self._keys.read(note)
            except NotGenuine as error:
                self._foreign = True
                self._findings.add(Kind.ALTERED, size_of(note), None, error.detail)
            else:
                self._newest_inside = max(self._newest_inside, checkpoint.size)
                yield Anchor(checkpoint, outside=False)

    def _outside(self, notes: Iterable[str]) -> Iterable[Anchor]:
        for note in notes:
            try:
                yield Anchor(self._keys.read(note), outside=True)
            except NotGenuine:
                self.refused += 1


def size_of(note: str) -> int | None:
    """The size a note claims, whoever wrote it."""
    try:
        return unsigned(note.partition("\n\n")[0] + "\n").size
    except NotGenuine:
        return None
