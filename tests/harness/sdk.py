"""OpenTelemetry's own SDK inside the test process, keeping what it is told in memory.

Refuses to leave a trace provider or log provider behind: outside of `traced()` and `logged()` the SDK is off.
Providers can be set only once in a process, so ours is one that passes on to whichever is current.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id

from telemetry import spans
from tests.harness.signals import Span, SpanEvent


class PassingTracers(trace.TracerProvider):
    """Hands out tracers of the current provider."""

    def __init__(self) -> None:
        self.current: trace.TracerProvider = trace.NoOpTracerProvider()

    def get_tracer(self, *args: Any, **named: Any) -> trace.Tracer:
        return self.current.get_tracer(*args, **named)


class PassingLoggers(_logs.LoggerProvider):
    """Hands out loggers of the current provider."""

    def __init__(self) -> None:
        self.current: _logs.LoggerProvider = _logs.NoOpLoggerProvider()

    def get_logger(self, *args: Any, **named: Any) -> _logs.Logger:
        return self.current.get_logger(*args, **named)


@cache
def _tracers() -> PassingTracers:
    passing = PassingTracers()
    trace.set_tracer_provider(passing)
    return passing


@cache
def _loggers() -> PassingLoggers:
    passing = PassingLoggers()
    _logs.set_logger_provider(passing)
    return passing


@cache
def _reader() -> InMemoryMetricReader:
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider((reader,), shutdown_on_exit=False))
    return reader


@contextmanager
def traced() -> Iterator[InMemorySpanExporter]:
    """Keep every span that ends within the block."""
    passing, kept = _tracers(), InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    before, passing.current = passing.current, provider
    spans.tracer_of.cache_clear()
    try:
        yield kept
    finally:
        passing.current = before
        spans.tracer_of.cache_clear()


@contextmanager
def logged() -> Iterator[InMemoryLogRecordExporter]:
    """Keep every record of a logger that was made within the block."""
    passing, kept = _loggers(), InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    before, passing.current = passing.current, provider
    try:
        yield kept
    finally:
        passing.current = before


class Counted:
    """What a counter gained since this was made. Instruments live as long as the process does."""

    def __init__(self, name: str, **labels: object) -> None:
        self._name, self._labels = name, labels
        self._before = self._read()

    def __call__(self) -> float:
        """The gain so far."""
        return self._read() - self._before

    def _read(self) -> float:
        return sum(
            point.value for labels, point in series(self._name) if self._labels.items() <= labels.items()
        )


def series(name: str) -> list[tuple[dict[str, Any], Any]]:
    """Every series of a metric: its labels and the SDK's data point."""
    data = _reader().get_metrics_data()
    return [
        (dict(point.attributes or {}), point)
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    ]


def span_of(span: ReadableSpan) -> Span:
    """An ended span as the plain value that `tests.harness.tree` draws."""
    return Span(
        name=span.name,
        kind=span.kind.name,
        trace_id=format_trace_id(span.context.trace_id),
        span_id=format_span_id(span.context.span_id),
        parent_id=format_span_id(span.parent.span_id) if span.parent else "",
        attributes=dict(span.attributes or {}),
        status=span.status.status_code.name,
        status_message=span.status.description or "",
        events=tuple(
            SpanEvent(name=e.name, time=e.timestamp, attributes=dict(e.attributes or {})) for e in span.events
        ),
        resource=dict(span.resource.attributes),
        scope=span.instrumentation_scope.name if span.instrumentation_scope else "",
        start=span.start_time or 0,
        end=span.end_time or 0,
    )
