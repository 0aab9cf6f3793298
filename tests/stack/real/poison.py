"""OTLP with secrets in every place that holds words, as no service of ours would send it.

Refuses to choose: a place is poisoned unless it is named among those to be left clean.
"""

import secrets
import time
from collections.abc import Iterator
from typing import Any

import httpx
from msgspec import Struct
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

SERVICE = "poisoned"
SECRETS = {
    "provider": "sk-ant-api03-AbC_123-{}",
    "parley": f"parley_{'0a' * 8}_{'0123456789abcdef' * 4}",
    "mail": "a.person+{}@mail.example.org",
    "address": "203.0.113.7",
    "address6": "2001:db8::7",
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl{}",
}
"""What must not arrive; `{}` is where a place puts its own name, so that a leak tells where it is."""


class Poison(Struct, frozen=True):
    """The secrets of one kind of place."""

    place: str

    def __str__(self) -> str:
        return "said " + " and ".join(each.format(self.place) for each in SECRETS.values())


def value(place: str) -> AnyValue:
    """The secrets as a string."""
    return AnyValue(string_value=str(Poison(place)))


def attributes(place: str) -> Iterator[KeyValue]:
    """The secrets as a string, in a list, in a map and in a map within a list; numbers that must stay."""
    within = KeyValue(key="within", value=value(f"{place}map"))
    inner = AnyValue(kvlist_value=KeyValueList(values=[within]))
    yield KeyValue(key=f"{place}.string", value=value(f"{place}string"))
    yield KeyValue(
        key=f"{place}.list", value=AnyValue(array_value=ArrayValue(values=[value(f"{place}list")]))
    )
    yield KeyValue(key=f"{place}.map", value=inner)
    yield KeyValue(key=f"{place}.deep", value=AnyValue(array_value=ArrayValue(values=[inner])))
    yield KeyValue(key=f"{place}.password", value=AnyValue(string_value=f"open-{place}-sesame"))
    yield KeyValue(key="server.address", value=value(f"{place}host"))
    yield KeyValue(key="gen_ai.usage.input_tokens", value=AnyValue(int_value=4711))
    yield KeyValue(key="name.of.nobody", value=AnyValue(string_value="a harmless word"))


def head(group: Any, scoped: Any, kind: str) -> None:
    """Poison resource and scope."""
    group.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value=SERVICE)))
    group.resource.attributes.extend(attributes(f"{kind}resource"))
    scoped.scope.name, scoped.scope.version = (str(Poison(f"{kind}{each}")) for each in ("name", "version"))
    scoped.scope.attributes.extend(attributes(f"{kind}scope"))


def traces(*, links: bool) -> tuple[str, ExportTraceServiceRequest]:
    """One trace of one span, and its id; `links` poisons a link too."""
    request, trace_id = ExportTraceServiceRequest(), secrets.token_bytes(16)
    group = request.resource_spans.add()
    scoped = group.scope_spans.add()
    head(group, scoped, "trace")
    now = time.time_ns()
    span = scoped.spans.add(trace_id=trace_id, span_id=secrets.token_bytes(8), kind=2)
    span.name, span.trace_state = str(Poison("spanname")), "vendor=" + SECRETS["provider"].format("state")
    span.start_time_unix_nano, span.end_time_unix_nano = now - 1_000_000, now
    span.attributes.extend(attributes("span"))
    span.status.code, span.status.message = 2, str(Poison("status"))
    event = span.events.add(time_unix_nano=now, name=str(Poison("eventname")))
    event.attributes.extend(attributes("event"))
    if links:
        span.links.add(trace_id=trace_id, span_id=secrets.token_bytes(8), attributes=attributes("link"))
    return trace_id.hex(), request


def logs() -> ExportLogsServiceRequest:
    """Records with a body of each shape."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    scoped = group.scope_logs.add()
    head(group, scoped, "log")
    bodies = {
        "text": value("bodytext"),
        "list": AnyValue(array_value=ArrayValue(values=[value("bodylist")])),
        "map": AnyValue(kvlist_value=KeyValueList(values=list(attributes("bodymap")))),
    }
    for name, body in bodies.items():
        record = scoped.log_records.add(time_unix_nano=time.time_ns(), severity_number=9, body=body)
        record.severity_text, record.event_name = str(Poison("severity")), str(Poison("eventof" + name))
        record.attributes.extend(attributes(f"logof{name}"))
    return request


def metrics() -> ExportMetricsServiceRequest:
    """A sum, a gauge and a histogram, with an exemplar that tells what a view left out."""
    request, now = ExportMetricsServiceRequest(), time.time_ns()
    group = request.resource_metrics.add()
    scoped = group.scope_metrics.add()
    head(group, scoped, "metric")
    total = scoped.metrics.add(name="poisoned.sum")
    total.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    total.sum.is_monotonic = True
    point = total.sum.data_points.add(as_int=1, time_unix_nano=now, attributes=attributes("sum"))
    exemplar = point.exemplars.add(as_int=1, time_unix_nano=now, trace_id=b"1" * 16, span_id=b"2" * 8)
    exemplar.filtered_attributes.append(KeyValue(key="left.out", value=value("exemplar")))
    scoped.metrics.add(name="poisoned.gauge").gauge.data_points.add(
        as_double=1, time_unix_nano=now, attributes=attributes("gauge")
    )
    spread = scoped.metrics.add(name="poisoned.histogram").histogram
    spread.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    spread.data_points.add(
        count=1,
        sum=1,
        time_unix_nano=now,
        explicit_bounds=[1],
        bucket_counts=[1, 0],
        attributes=attributes("histogram"),
    )
    return request


def send(collector: str, signal: str, request: Any) -> None:
    """Hand it to the collector over HTTP."""
    answer = httpx.post(
        f"http://{collector}/v1/{signal}",
        content=request.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
