"""One turn as every signal told it: its row, its log lines, its spans, and the counters it moved.

Refuses to choose where there must be exactly one: a turn told twice fails the test.
"""

from typing import Any

from msgspec import Struct

from tests.harness.otlp import Receiver
from tests.harness.service import Service
from tests.harness.signals import Span
from tests.harness.waiting import wait

ENDINGS = {
    "agent_query_completed",
    "agent_query_failed",
    "agent_query_refused",
    "rate_limit_exceeded",
    "access_denied",
}
"""The log types of which a turn has exactly one line."""


class Told(Struct, frozen=True, kw_only=True):
    """A turn's audit row, the line it ended with, its lines of single errors, and its two outer spans."""

    row: dict[str, Any]
    line: dict[str, Any]
    errors: list[dict[str, Any]]
    server: Span
    agent: Span


def told(service: Service, receiver: Receiver, turn_id: str) -> Told:
    """Wait until every signal has told a turn, and return what each said.

    Raises:
        AssertionError: a signal was silent, or told the turn twice.
    """
    (row,) = service.wait_for_rows(entityId=turn_id)
    spans = receiver.wait_for_trace(row["traceId"])
    (server,) = (
        span for span in spans if span.attributes.get("parley.turn.id") == turn_id and not _inner(span)
    )
    (agent,) = (span for span in spans if span.attributes.get("parley.turn.id") == turn_id and _inner(span))
    return Told(
        row=row,
        line=ending(service, turn_id),
        errors=service.lines(type="agent_query_error", requestId=turn_id),
        server=server,
        agent=agent,
    )


def ending(service: Service, turn_id: str) -> dict[str, Any]:
    """Wait for the line that a turn ended with, and return it; there may be no other."""
    wait(lambda: _endings(service, turn_id), seen=service.said)
    (line,) = _endings(service, turn_id)
    return line


def row_asking(service: Service, query: str) -> dict[str, Any]:
    """Wait for the row of the one turn that asked this, for turns whose client never learned their id."""

    def found() -> list[dict[str, Any]]:
        return [row for row in service.rows() if row["metadata"]["query"] == query]

    wait(found, seen=service.said)
    (row,) = found()
    return row


def total(receiver: Receiver, name: str, **labels: Any) -> float:
    """The sum of a counter's newest points, over all series with these labels."""
    return sum(point.value or 0 for point in receiver.points(name, labels))


def _inner(span: Span) -> bool:
    return span.kind != "SERVER"


def _endings(service: Service, turn_id: str) -> list[dict[str, Any]]:
    return [line for line in service.lines(requestId=turn_id) if line["type"] in ENDINGS]
