"""Holds what callers heard and proxies saw against audit rows, root spans and the ledger of budgets.

Refuses to believe one of them: each is counted where it is, and the sums have to be one.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from tests.faults import money
from tests.faults.crowd import Crowd
from tests.faults.traffic import Heard
from tests.harness.chat import ROUTE
from tests.harness.otlp import Receiver
from tests.harness.service import Service
from tests.harness.signals import Span

OK = 200
ENOUGH = 5
"""Sentences of one kind of fault: more tell nothing new."""
REPLAYED = "parley.idempotency.replayed"


class Account(Struct):
    """`asked` questions, of which `passed` arrived whole and `heard` were answered; rows are by count."""

    asked: int = 0
    passed: int = 0
    heard: int = 0
    replayed: int = 0
    rows: int = 0
    spans: int = 0
    counted: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    unsent: bool = False
    """Whether it said that the last of its telemetry may be missing; then no row is, but spans may be."""

    def told(self) -> str:
        """In words."""
        return (
            f"{self.asked} asked, {self.passed} arrived, {self.heard} answered, {self.replayed} of them"
            f" again; {self.rows} rows = {self.spans} root spans = {self.counted} turns counted;"
            f" {self.outcomes}"
        )


def judge(
    service: Service, receiver: Receiver, crowd: Crowd, *, unsent: bool = False
) -> tuple[Account, list[str]]:
    """What it comes to, and what is wrong with it. The service has ended; `unsent` is as the account's."""
    rows, heard = service.rows(), crowd.heard
    spans = [span for span in receiver.spans() if span.kind == "SERVER" and span.name == f"POST {ROUTE}"]
    account = Account(
        asked=len(heard),
        passed=crowd.door.passed.total(),
        heard=sum(bool(each.turn) for each in heard),
        replayed=sum(bool(span.attributes.get(REPLAYED)) for span in spans),
        rows=sum(row["count"] for row in rows),
        spans=sum(not span.attributes.get(REPLAYED) for span in spans),
        counted=int(sum(point.value or 0 for point in receiver.points("parley.turns"))),
        outcomes=dict(Counter(row["outcome"] for row in rows)),
        unsent=unsent,
    )
    faults = [
        *_sums(account),
        *_each(rows, spans, heard),
        *_unseen(account, rows, spans),
        *money.faults(_url(service)),
    ]
    verified = service.cli("audit", "verify")
    if verified.returncode:
        faults.append(f"audit verify: {verified.stdout} {verified.stderr}")
    return account, faults


def _url(service: Service) -> str:
    return service.settings.get("DATABASE_URL", f"sqlite:///{service.cwd}/var/parley.db")


def _sums(account: Account) -> Iterator[str]:
    most = max(account.spans, account.counted)
    if not (account.rows == account.spans == account.counted or (account.unsent and most <= account.rows)):
        yield f"not one number: {account.told()}"
    turns = account.heard - account.replayed
    if not turns <= account.rows <= account.passed - account.replayed:
        yield f"rows are not between what was answered and what arrived: {account.told()}"


def _each(rows: list[dict[str, Any]], spans: list[Span], heard: list[Heard]) -> Iterator[str]:
    """What is wrong with single turns."""
    by_turn = {row["entityId"]: row for row in rows}
    yield from _some("rows twice", Counter(row["entityId"] for row in rows))
    yield from _some("spans twice", Counter(_roots(spans)))
    yield from _first([words for each in heard if (words := _word(each, by_turn))])


def _roots(spans: list[Span]) -> list[str]:
    """The turns that they are of."""
    return [str(span.attributes["parley.turn.id"]) for span in spans if not span.attributes.get(REPLAYED)]


def _unseen(account: Account, rows: list[dict[str, Any]], spans: list[Span]) -> Iterator[str]:
    """Turns without a span, where it did not say that there may be such."""
    roots = frozenset(_roots(spans))
    missing = [row for row in rows if row["entityId"] not in roots and not account.unsent]
    yield from _first(
        [
            f"no span of {row['entityId']}, {row['outcome']}, {row['code']}, {row['createdAt']}"
            for row in missing
        ]
    )


def _word(heard: Heard, by_turn: Mapping[str, Mapping[str, Any]]) -> str:
    """What is wrong with what one heard; empty for nothing."""
    row = by_turn.get(heard.turn)
    if heard.replayed or not heard.turn:
        return ""
    if row is None:  # it may share a row
        return "" if heard.status in {400, 401, 409, 422, 429, 503} else f"no row of {heard}"
    whole = heard.terminal == "done" or (heard.status == OK and heard.question.kind != "stream")
    if whole and row["outcome"] != "answered":
        return f"{row['outcome']}, {row['code']}, but {heard}"
    if (heard.terminal == "error" or heard.status != OK) and row["outcome"] == "answered":
        return f"answered, but {heard}"
    return ""


def _some(what: str, counts: Mapping[str, int]) -> Iterator[str]:
    yield from _first([f"{what}: {each}, {number} times" for each, number in counts.items() if number > 1])


def _first(sentences: list[str]) -> list[str]:
    return sentences[:ENOUGH] + ([f"and {len(sentences)} of these in all"] if sentences else [])
