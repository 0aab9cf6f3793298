"""Holds the audit to what callers heard: every turn one row, the same numbers, no row that nobody asked for.

Refuses to be content with totals: each fault is named with its turn.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec import Struct

from config.secret import Secret
from service.audit.signing import log_key
from service.audit.verify import Buried, Keys, Report, Verification, Verifier
from service.auth.derive import Derived
from service.seal.vault import Vault
from service.store.database import open_database
from tests.faults import money
from tests.faults.heard import Heard, State
from tests.faults.lives import SECRET, TYPES, Lives
from tests.harness.sql import ask

REFUSED = "refused"
SHARING = {*range(400, 500), 500, 503}
"""Statuses of refusals, which may share a row."""
NUMBERS = ("inputTokens", "outputTokens", "costMicros")
EVENTS = "SELECT id, count, writer, writer_seq FROM audit_event"
ASIDE = "SELECT id, writer, writer_seq FROM audit_quarantine"
SHOWN = 'SELECT count(*) AS n, count(DISTINCT id) AS ids FROM "AuditEvent"'
VIEW = """SELECT * FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY'"""

STOPPED = {"shutting_down": (("shutdown", "shutting_down"), (REFUSED, "shutting_down"))}
"""What a caller cannot tell apart: a turn that a stop ended, and one that it did not let in."""

Row = Mapping[str, Any]


class Verdict(Struct, kw_only=True):
    """What became of a round; `faults` are the sentences that must not be there.

    `unsaid` counts turns without a log line whose process was killed in the moment of telling.
    """

    kills: dict[str, int]
    asked: int
    received: int
    rows: int
    aside: int
    lost: int
    doubled: int
    strangers: int
    interrupted: int
    summed: int
    unsaid: int
    faults: list[str]


class Judge:
    """One round's evidence."""

    def __init__(self, lives: Lives) -> None:
        self.lives = lives
        self.faults: list[str] = []
        url = lives.database_url
        self.rows = [row | {"metadata": json.loads(row["metadata"])} for row in ask(url, VIEW)]
        self.events, self.aside = ask(url, EVENTS), ask(url, ASIDE)
        self.by_id: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            self.by_id[row["entityId"]].append(row)
        self.set_aside = {row["id"] for row in self.aside}
        self.received = [heard for heard in lives.heard.values() if heard.state is not State.ASKED]

    def verdict(self) -> Verdict:
        """Judge everything."""
        lost, doubled = self._lost(), self._doubled()
        self._judge_answers()
        strangers, unsaid = self._strangers(), self._lines()
        self._judge_numbers()
        self._verify()
        self.faults += money.faults(self.lives.database_url)
        return Verdict(
            kills=dict(self.lives.kills),
            asked=len(self.lives.heard),
            received=len(self.received),
            rows=len(self.rows),
            aside=len(self.aside),
            lost=lost,
            doubled=doubled,
            strangers=strangers,
            interrupted=sum(row["outcome"] == "interrupted" for row in self.rows),
            summed=sum(row["count"] - 1 for row in self.rows),
            unsaid=unsaid,
            faults=[f"{fault} (seed {self.lives.seed})" for fault in self.faults],
        )

    def _lost(self) -> int:
        """Turns that were heard of and have no row; refusals may stand behind one that they share."""
        missing = [heard for heard in self.received if not self._kept(heard)]
        unread = sum(map(_unread, missing))
        lost = [heard for heard in missing if not (_refused(heard) or _unread(heard))]
        self._name("has no row", (f"{heard}" for heard in lost))
        behind = Counter(heard.code for heard in missing if _refused(heard))
        return len(lost) + self._uncounted(behind, unread)

    def _kept(self, heard: Heard) -> bool:
        return heard.id in self.by_id or heard.id in self.set_aside

    def _uncounted(self, behind: Counter[str | None], unread: int) -> int:
        """Refusals that no shared row counts, and shared rows that count more than was asked.

        Of `unread` ones the code is not known: they may stand behind any.
        """
        unheard = unread + sum(heard.state is State.ASKED for heard in self.lives.heard.values())
        lost = spare = 0
        for code in {row["code"] for row in self.rows if row["outcome"] == REFUSED} | set(behind):
            counted = sum(row["count"] - 1 for row in self.rows if row["code"] == code)
            spare += max(counted - behind[code], 0)
            if counted < behind[code]:
                lost += behind[code] - counted
                self.faults.append(f"{behind[code]} refusals {code} share rows that count {counted}")
            if counted > behind[code] + unheard:
                self.faults.append(f"shared rows count {counted} refusals {code}, told were {behind[code]}")
        if spare < unread:
            self.faults.append(f"{unread} refusals were cut off, and {spare} more are counted than were read")
        return lost + max(unread - spare, 0)

    def _doubled(self) -> int:
        ids = Counter(event["id"] for event in self.events) + Counter(each["id"] for each in self.aside)
        twice = [each for each, count in ids.items() if count > 1]
        twice += [turn for turn, rows in self.by_id.items() if len(rows) > 1]
        (shown,) = ask(self.lives.database_url, SHOWN)
        if {shown["n"], shown["ids"]} != {len(self.events)}:
            self.faults.append(f"the view shows {shown} of {len(self.events)} events")
        self._name("is there twice", twice)
        return len(twice)

    def _judge_answers(self) -> None:
        for heard in self.received:
            for row in self.by_id.get(heard.id or "", ()):
                if heard.state is State.TOLD and not heard.left:
                    self._judge_told(heard, row)

    def _judge_told(self, heard: Heard, row: Row) -> None:
        kept = (row["outcome"], row["code"])
        if kept != (heard.outcome, heard.code) and kept not in STOPPED.get(heard.code or "", ()):
            self.faults.append(f"{heard} has the row {kept}")
        numbers = (*(row[name] for name in NUMBERS), row["metadata"]["responseLength"])
        if heard.outcome == "answered" and numbers != (heard.input, heard.output, heard.cost, heard.length):
            self.faults.append(f"{heard} has the numbers {numbers}")

    def _strangers(self) -> int:
        """Rows that no ask explains: by the turn's id, or by the text that only one ask had."""
        known = {heard.id for heard in self.lives.heard.values() if heard.id}
        unheard = {heard.ask for heard in self.lives.heard.values() if not heard.id}
        bare = sum(1 for _ in unheard)
        strange = []
        for row in (row for row in self.rows if row["entityId"] not in known):
            query = row["metadata"]["query"]
            ask_of_it = (query or "").partition(" ")[0]
            if ask_of_it in unheard:
                unheard.discard(ask_of_it)
            elif query is None and row["outcome"] == REFUSED and bare > 0:
                bare -= 1
            else:
                strange.append(row["id"])
        self._name("is a row that nobody asked for", strange)
        return len(strange)

    def _lines(self) -> int:
        """One line for each turn that was told; at most one for others. Counts those without any."""
        said = Counter(line.get("requestId") for line in self.lives.lines if line.get("type") in TYPES)
        self._name("has two lines", (f"{turn}" for turn, count in said.items() if count > 1))
        for heard in self.received:
            if heard.state is State.TOLD and not heard.left and not said[heard.id]:
                self.faults.append(f"{heard} has no line")
        return sum(not said[heard.id] for heard in self.received)

    def _judge_numbers(self) -> None:
        """Everything is settled: each writer's numbers go from 1 to their end without a gap."""
        numbers: dict[str, list[int]] = defaultdict(list)
        for each in (*self.events, *self.aside):
            if each["writer"]:
                numbers[each["writer"]].append(each["writer_seq"])
        for writer, found in numbers.items():
            if sorted(found) != list(range(1, len(found) + 1)):
                missing = sorted(set(range(1, max(found) + 1)) - set(found))
                self.faults.append(f"writer {writer}: numbers up to {max(found)}, missing {missing[:9]}")

    def _verify(self) -> None:
        notes = [line["checkpoint"] for line in self.lives.lines if line.get("type") == "audit_checkpoint"]
        report = verified(self.lives.database_url, notes)
        if not report.valid or report.refused or report.checkpoint_size != report.size:
            self.faults.append(f"verification: {report}")

    def _name(self, what: str, which: Iterable[str]) -> None:
        self.faults.extend(f"{each} {what}" for each in which)


def _refused(heard: Heard) -> bool:
    return heard.outcome == REFUSED or heard.code in STOPPED


def _unread(heard: Heard) -> bool:
    """Whether it is known to have failed or been refused, but not why: a kill came after its head."""
    return heard.state is State.BEGAN and heard.status in SHARING


def judged(lives: Lives) -> Verdict:
    """The verdict on an installation that is settled."""
    return Judge(lives).verdict()


def verified(url: str, outside: Sequence[str]) -> Report:
    """Hold a log against the installation's key and the checkpoints that were told."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, _verified(url, outside)).result()


async def _verified(url: str, outside: Sequence[str]) -> Report:
    derived = Derived(Secret(SECRET))
    database = await open_database(url, Vault(masters=derived.masters))
    try:
        key = log_key(None, derived.signing_seeds, await database.audit.log_id())
        notes = [kept.note async for page in database.checkpoints.pages() for kept in page]
        verification = Verification(
            Keys([Verifier(key.public)], key.origin),
            notes,
            outside,
            quarantined=await database.proofs.quarantined(),
            known_size=await database.proofs.known_size(),
        )
        async for piece in database.proofs.pieces():
            verification.take(piece if isinstance(piece, list) else Buried(piece.first, piece.leaves))
        return verification.report()
    finally:
        await database.close()
