"""What waits in this process to be exported: spans and log records in OpenTelemetry's batches.

Refuses to fail where they are kept otherwise: OpenTelemetry has no public word for how many wait.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry import _logs, trace

SPANS = "_active_span_processor._span_processors"
LOGS = "_multi_log_record_processor._log_record_processors"


def waiting() -> Mapping[str, int]:
    """By signal how many wait; none of a signal that is not exported in batches."""
    places = (("spans", trace.get_tracer_provider(), SPANS), ("logs", _logs.get_logger_provider(), LOGS))
    found = ((signal, list(_queues(provider, path))) for signal, provider, path in places)
    return {signal: sum(queues) for signal, queues in found if queues}


def _queues(provider: Any, path: str) -> Iterator[int]:
    for processor in _within(provider, path) or ():
        queue = _within(processor, "_batch_processor._queue")
        if queue is not None:
            yield len(queue)


def _within(whole: Any, path: str) -> Any:
    for name in path.split("."):
        whole = getattr(whole, name, None)
    return whole
