"""What a verification found, in the words it is told in.

Refuses to grow with the damage: it keeps the first thousand findings and the number of all.
"""

from enum import StrEnum

from msgspec import Struct

MOST_FINDINGS = 1_000
UNPROVEN = "unproven"
"""The freshness of a log that no checkpoint kept elsewhere vouches for."""


class Kind(StrEnum):
    """What was done to the log, as far as what is left of it tells."""

    ALTERED = "altered"
    DELETED = "deleted"
    INSERTED = "inserted"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    REPLAYED = "replayed"
    GAP = "gap"


class Finding(Struct, frozen=True, rename="camel"):
    """One cause: its kind, the first place and event it concerns where there is one, and a sentence."""

    kind: Kind
    log_index: int | None
    id: str | None
    detail: str


class Report(Struct, frozen=True, kw_only=True, rename="camel"):
    """The verdict on a log.

    `rows` is how many events were looked at, `size` where the log ends, `root` that of its tree (None where
    damage leaves none), `checkpoint_size` how much of it a genuine checkpoint proves, `freshness` the time of
    the newest checkpoint kept elsewhere that the log contains, or `unproven`. `found` counts all findings, of
    which `findings` are the first; `refused` counts notes kept elsewhere that are none of this log's.
    """

    valid: bool
    rows: int
    freshness: str
    findings: tuple[Finding, ...]
    found: int
    size: int
    root: bytes | None
    checkpoint_size: int
    refused: int = 0


class Findings:
    """Collects findings."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[Finding] = []

    def add(self, kind: Kind, log_index: int | None, event_id: object, detail: str) -> None:
        """Keep a finding, or only count it where there are too many. An id that is no text is not told."""
        self.count += 1
        if len(self._kept) < MOST_FINDINGS:
            known = event_id if isinstance(event_id, str) else None
            self._kept.append(Finding(kind, log_index, known, detail))

    def in_order(self) -> tuple[Finding, ...]:
        """The kept ones by their place in the log; those without a place last."""
        return tuple(sorted(self._kept, key=_place))


def _place(finding: Finding) -> tuple[bool, int]:
    return finding.log_index is None, finding.log_index or 0
