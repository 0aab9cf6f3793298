"""What an OTLP exporter said, as plain frozen values: spans, metric points and log records.

Refuses protobuf beyond this file: ids are hex, enums their words, attribute values Python's own.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogRecordMessage
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status


class Origin(Struct, frozen=True):
    """Who sent something: its resource's attributes and its instrumentation scope's name."""

    resource: dict[str, Any]
    scope: str


class SpanEvent(Struct, frozen=True, kw_only=True):
    """One event on a span; `time` in nanoseconds since 1970."""

    name: str
    time: int
    attributes: dict[str, Any]


class Span(Struct, frozen=True, kw_only=True):
    """One ended span.

    `kind` is INTERNAL, SERVER, CLIENT, PRODUCER or CONSUMER, `status` UNSET, OK or ERROR. `parent_id` is
    empty on a root. `start` and `end` are nanoseconds since 1970.
    """

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    status: str
    status_message: str
    events: tuple[SpanEvent, ...]
    resource: dict[str, Any]
    scope: str
    start: int
    end: int


class Point(Struct, frozen=True, kw_only=True):
    """One data point of a metric.

    `type` is sum, gauge, histogram, exponential_histogram or summary. `value` belongs to sums and gauges,
    `count` and `sum` to the rest, `bounds` and `buckets` to histograms. `temporality` is CUMULATIVE, DELTA,
    or empty where there is none. `time` is in nanoseconds since 1970.
    """

    name: str
    unit: str
    type: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: str
    time: int
    temporality: str = ""
    monotonic: bool = False
    value: float | None = None
    count: int | None = None
    sum: float | None = None
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()


class LogRecord(Struct, frozen=True, kw_only=True):
    """One log record; `severity` is its text (INFO), `severity_number` OTLP's number (9)."""

    event_name: str
    severity: str
    severity_number: int
    body: Any
    attributes: dict[str, Any]
    trace_id: str
    span_id: str
    resource: dict[str, Any]
    scope: str
    time: int


def decode_spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    """Every span of one export, in the order sent."""
    for group in request.resource_spans:
        for scoped in group.scope_spans:
            origin = _origin(group, scoped)
            yield from (_span(span, origin) for span in scoped.spans)


def decode_points(request: ExportMetricsServiceRequest) -> Iterator[Point]:
    """Every data point of one export, in the order sent."""
    for group in request.resource_metrics:
        for scoped in group.scope_metrics:
            origin = _origin(group, scoped)
            for metric in scoped.metrics:
                yield from _points(metric, origin)


def decode_logs(request: ExportLogsServiceRequest) -> Iterator[LogRecord]:
    """Every log record of one export, in the order sent."""
    for group in request.resource_logs:
        for scoped in group.scope_logs:
            origin = _origin(group, scoped)
            yield from (_log(record, origin) for record in scoped.log_records)


def _origin(group: Any, scoped: Any) -> Origin:
    return Origin(_attributes(group.resource.attributes), scoped.scope.name)


def _attributes(pairs: Sequence[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case kind:
            return getattr(value, kind)


def _span(span: SpanMessage, origin: Origin) -> Span:
    return Span(
        name=span.name,
        kind=SpanMessage.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_attributes(span.attributes),
        status=Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        status_message=span.status.message,
        events=tuple(_event(event) for event in span.events),
        resource=origin.resource,
        scope=origin.scope,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
    )


def _event(event: SpanMessage.Event) -> SpanEvent:
    return SpanEvent(name=event.name, time=event.time_unix_nano, attributes=_attributes(event.attributes))


def _points(metric: Metric, origin: Origin) -> Iterator[Point]:
    kind = metric.WhichOneof("data") or "gauge"  # one without data reads as a gauge without points
    data = getattr(metric, kind)
    for point in data.data_points:
        yield Point(
            name=metric.name,
            unit=metric.unit,
            type=kind,
            attributes=_attributes(point.attributes),
            resource=origin.resource,
            scope=origin.scope,
            time=point.time_unix_nano,
            temporality=_temporality(data),
            monotonic=getattr(data, "is_monotonic", False),
            **(_number(point) if kind in {"gauge", "sum"} else _distribution(point)),
        )


def _temporality(data: Any) -> str:
    number = getattr(data, "aggregation_temporality", 0)
    return AggregationTemporality.Name(number).removeprefix("AGGREGATION_TEMPORALITY_") if number else ""


def _number(point: Any) -> dict[str, Any]:
    kind = point.WhichOneof("value")
    return {"value": getattr(point, kind) if kind else None}


def _distribution(point: Any) -> dict[str, Any]:
    return {
        "count": point.count,
        "sum": point.sum,
        "bounds": tuple(getattr(point, "explicit_bounds", ())),
        "buckets": tuple(getattr(point, "bucket_counts", ())),
    }


def _log(record: LogRecordMessage, origin: Origin) -> LogRecord:
    return LogRecord(
        event_name=record.event_name,
        severity=record.severity_text,
        severity_number=record.severity_number,
        body=_value(record.body),
        attributes=_attributes(record.attributes),
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        resource=origin.resource,
        scope=origin.scope,
        time=record.time_unix_nano,
    )
