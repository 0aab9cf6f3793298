"""A turn whose process died -> the record of it: known is how it began, and that nobody ended it.

Refuses to guess what it cost: tokens nobody reported are none.
"""

from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext

from service.errors import ServiceError, classify
from telemetry import log
from telemetry.failure import Code
from telemetry.record import Ending, Outcome, TurnOpening, TurnRecord


class Interrupted(ServiceError):
    """The process ended before the turn did, and without a word."""

    code = Code.SHUTTING_DOWN
    outcome = Outcome.INTERRUPTED


def record_of(opening: TurnOpening) -> TurnRecord:
    """The record that the process would have built; its time is unknown, and 0."""
    failure = classify(Interrupted("The service ended before the answer was complete."))
    return TurnRecord(opening=opening, seconds=0.0, ending=Ending(Outcome.INTERRUPTED, failure))


@contextmanager
def in_the_name_of(opening: TurnOpening) -> Generator[None]:
    """What is said here is said under the turn's own request, trace and span."""
    context = SpanContext(int(opening.trace_id, 16), int(opening.span_id, 16), is_remote=True)
    token = log.request_id.set(opening.turn_id)
    try:
        with trace.use_span(NonRecordingSpan(context)):
            yield
    finally:
        log.request_id.reset(token)
