"""The receiver against OpenTelemetry's own SDK and exporters, over both protocols, in every mode."""

import gzip
import threading
import time

import httpx
import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from tests.harness.otlp import Mode, Receiver
from tests.harness.otlp_servers import HOST

RESOURCE = Resource({"service.name": "parley", "service.instance.id": "one"})
PROTOCOLS = ["http", "http-gzip", "grpc", "grpc-gzip"]


@pytest.fixture
def own():
    with Receiver() as receiver:
        yield receiver


def exporter(receiver, protocol, path, http, grpc, **options):
    if protocol.startswith("http"):
        chosen = Compression.Gzip if protocol.endswith("gzip") else Compression.NoCompression
        return http(f"http://{HOST}:{receiver.http_port}{path}", compression=chosen, timeout=5, **options)
    import grpc as library

    chosen = library.Compression.Gzip if protocol.endswith("gzip") else library.Compression.NoCompression
    endpoint = f"http://{HOST}:{receiver.grpc_port}"
    return grpc(endpoint, insecure=True, compression=chosen, timeout=5, **options)


def tracer(receiver, protocol="http"):
    provider = TracerProvider(resource=RESOURCE)
    spans = exporter(receiver, protocol, "/v1/traces", HttpSpans, GrpcSpans)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider, provider.get_tracer("scope-a")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_spans_arrive_as_plain_values(own, protocol):
    provider, make = tracer(own, protocol)
    values = {"s": "x", "i": 1, "f": 0.5, "b": True, "ss": ["a", "b"], "is": [1, 2], "none": []}
    with make.start_as_current_span("parent", kind=SpanKind.SERVER) as parent:
        child = make.start_span("child", kind=SpanKind.CLIENT, attributes=values, start_time=5)
        child.add_event("met", {"n": 3}, timestamp=6)
        child.set_status(Status(StatusCode.ERROR, "broken"))
        child.end(7)
    provider.shutdown()
    context = parent.get_span_context()
    first, second = own.wait_for_spans(2, trace_id=f"{context.trace_id:032x}")
    assert (first.name, first.kind, first.status, first.status_message) == (
        "child", "CLIENT", "ERROR", "broken",
    )  # fmt: skip
    assert first.attributes == values
    assert type(first.attributes["b"]) is bool
    assert (first.start, first.end, first.scope) == (5, 7, "scope-a")
    assert [(event.name, event.time, event.attributes) for event in first.events] == [("met", 6, {"n": 3})]
    assert first.parent_id == second.span_id == f"{context.span_id:016x}"
    assert (second.kind, second.status, second.parent_id, second.events) == ("SERVER", "UNSET", "", ())
    assert second.resource["service.name"] == "parley"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_metrics_arrive_as_plain_values(own, protocol):
    export = exporter(own, protocol, "/v1/metrics", HttpMetrics, GrpcMetrics)
    provider = MeterProvider([PeriodicExportingMetricReader(export, 1e9)], RESOURCE)
    meter = provider.get_meter("scope-m")
    meter.create_counter("turns", "{turn}").add(2, {"outcome": "answered", "list": ["a"]})
    meter.create_up_down_counter("active").add(-1.5)
    meter.create_gauge("free", "By").set(7)
    seconds = meter.create_histogram("seconds", "s", explicit_bucket_boundaries_advisory=[1, 2])
    for value in (0.5, 1.5, 9):
        seconds.record(value)
    provider.shutdown()
    (turns,) = own.wait(lambda: own.points("turns", {"outcome": "answered", "list": ["a"]}))
    assert (turns.type, turns.unit, turns.value, turns.monotonic) == ("sum", "{turn}", 2, True)
    assert (turns.temporality, turns.scope) == ("CUMULATIVE", "scope-m")
    (active,) = own.points("active")
    assert (active.type, active.value, active.monotonic, active.attributes) == ("sum", -1.5, False, {})
    (free,) = own.points("free")
    assert (free.type, free.unit, free.value, free.temporality) == ("gauge", "By", 7, "")
    (spread,) = own.points("seconds")
    assert (spread.type, spread.count, spread.sum, spread.value) == ("histogram", 3, 11, None)
    assert (spread.bounds, spread.buckets) == ((1, 2), (1, 1, 1))
    assert own.metric_names() == {"turns", "active", "free", "seconds"}


def test_an_exponential_histogram_has_its_count_and_sum(own):
    export = exporter(own, "http", "/v1/metrics", HttpMetrics, GrpcMetrics)
    views = [View(instrument_name="*", aggregation=ExponentialBucketHistogramAggregation())]
    provider = MeterProvider([PeriodicExportingMetricReader(export, 1e9)], RESOURCE, views=views)
    provider.get_meter("m").create_histogram("seconds").record(3)
    provider.shutdown()
    (point,) = own.wait(lambda: own.points("seconds"))
    assert (point.type, point.count, point.sum) == ("exponential_histogram", 1, 3)


@pytest.mark.parametrize(
    ("temporality", "values"),
    [(AggregationTemporality.CUMULATIVE, [5]), (AggregationTemporality.DELTA, [2, 3])],
)
def test_of_a_cumulative_series_the_newest_is_kept_of_a_delta_every_one(own, temporality, values):
    from opentelemetry.sdk.metrics import Counter

    chosen = {"preferred_temporality": {Counter: temporality}}
    export = exporter(own, "http", "/v1/metrics", HttpMetrics, GrpcMetrics, **chosen)
    provider = MeterProvider([PeriodicExportingMetricReader(export, 1e9)], RESOURCE)
    counter = provider.get_meter("m").create_counter("turns")
    counter.add(2, {"outcome": "answered"})
    provider.force_flush()
    counter.add(3, {"outcome": "answered"})
    provider.shutdown()
    assert own.attempts == 2
    assert [point.value for point in own.points("turns")] == values


def test_series_differ_by_attributes_and_by_process(own):
    for instance in ("one", "two"):
        export = exporter(own, "http", "/v1/metrics", HttpMetrics, GrpcMetrics)
        resource = Resource({"service.instance.id": instance})
        provider = MeterProvider([PeriodicExportingMetricReader(export, 1e9)], resource)
        counter = provider.get_meter("m").create_counter("turns")
        counter.add(1, {"outcome": "answered"})
        counter.add(1, {"outcome": "failed"})
        provider.shutdown()
    assert len(own.points("turns")) == 4
    assert len(own.points("turns", {"outcome": "failed"})) == 2
    assert own.points("turns", {"outcome": "refused"}) == []
    assert own.points("turns", {"absent": None}) == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_log_records_arrive_as_plain_values(own, protocol):
    traces, make = tracer(own, protocol)
    provider = LoggerProvider(RESOURCE)
    export = exporter(own, protocol, "/v1/logs", HttpLogs, GrpcLogs)
    provider.add_log_record_processor(SimpleLogRecordProcessor(export))
    with make.start_as_current_span("turn") as span:
        provider.get_logger("scope-l").emit(
            event_name="agent_query_completed",
            severity_number=SeverityNumber.WARN,
            severity_text="WARN",
            body={"deep": [1, {"x": None}]},
            attributes={"tokens": {"input": 1, "output": 2}, "toolsCalled": ["calculate"]},
        )
    provider.shutdown()
    traces.shutdown()
    context = span.get_span_context()
    (log,) = own.wait(lambda: own.logs(f"{context.trace_id:032x}", "agent_query_completed"))
    assert (log.severity, log.severity_number, log.scope) == ("WARN", 13, "scope-l")
    assert log.body == {"deep": [1, {"x": None}]}
    assert log.attributes == {"tokens": {"input": 1, "output": 2}, "toolsCalled": ["calculate"]}
    assert log.span_id == f"{context.span_id:016x}"
    assert own.logs(event_name="other") == own.logs("0" * 32) == []


def export(receiver, name="x", seconds=5):
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.name = name
    return post(receiver, request.SerializeToString(), seconds=seconds)


def post(receiver, content, path="/v1/traces", seconds=5, **headers):
    address = f"http://{HOST}:{receiver.http_port}{path}"
    headers = {"Content-Type": "application/x-protobuf"} | {
        key.replace("_", "-"): value for key, value in headers.items()
    }
    return httpx.post(address, content=content, headers=headers, timeout=seconds, trust_env=False)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"\xff\xff\xff", {}),
        (b"", {"Content_Type": "application/json"}),
        (b"plain", {"Content_Encoding": "gzip"}),
        (gzip.compress(b"")[:-4], {"Content_Encoding": "gzip"}),
        (b"", {"Content_Encoding": "br"}),
        (iter([b""]), {}),
    ],
    ids=["not protobuf", "json", "not gzip", "cut gzip", "unknown coding", "no length"],
)
def test_what_cannot_be_read_is_refused_and_not_kept(own, content, headers):
    assert post(own, content, **headers).status_code == 400
    assert (own.attempts, own.spans()) == (0, [])


def test_another_path_is_not_found(own):
    assert post(own, b"", path="/v1/profiles").status_code == 404


def test_a_refusing_receiver_keeps_nothing_until_it_answers_again(own):
    own.mode = Mode.REFUSE
    assert export(own, "early").status_code == 503
    assert (own.attempts, own.spans()) == (1, [])
    own.mode = Mode.ANSWER
    assert export(own, "late").status_code == 200
    assert [span.name for span in own.spans()] == ["late"]


def test_a_refusal_over_grpc_is_unavailable():
    import grpc
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

    with Receiver(Mode.REFUSE) as own, grpc.insecure_channel(f"{HOST}:{own.grpc_port}") as channel:
        with pytest.raises(grpc.RpcError) as caught:
            TraceServiceStub(channel).Export(ExportTraceServiceRequest(), timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_black_hole_takes_an_export_and_never_answers():
    with Receiver(Mode.BLACK_HOLE) as own:
        with pytest.raises(httpx.ReadTimeout):
            export(own, seconds=0.3)
        assert (own.attempts, own.spans()) == (1, [])


def test_closing_lets_go_what_the_black_hole_holds():
    import grpc
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

    with Receiver(Mode.BLACK_HOLE) as own, grpc.insecure_channel(f"{HOST}:{own.grpc_port}") as channel:
        held = TraceServiceStub(channel).Export.future(ExportTraceServiceRequest(), timeout=60)
        statuses = []
        asking = threading.Thread(target=lambda: statuses.append(export(own, seconds=60).status_code))
        asking.start()
        own.wait(lambda: own.attempts == 2)
        assert not held.done()
        own.close()
        assert held.exception(5)
    asking.join()
    assert statuses == [503]
    assert own.spans() == []


def test_closing_ends_every_thread_and_both_ports():
    others = set(threading.enumerate())
    own = Receiver()
    assert export(own).status_code == 200
    assert [thread for thread in threading.enumerate() if thread not in others and "otlp" in thread.name]
    own.close()
    own.close()
    assert not [thread.name for thread in threading.enumerate() if thread not in others]
    with pytest.raises(httpx.ConnectError):
        export(own)


def test_waiting_for_spans_gathers_them_as_they_come(own):
    def send():
        for name in ("a", "b", "a"):
            time.sleep(0.02)
            export(own, name)

    sender = threading.Thread(target=send)
    sender.start()
    assert len(own.wait_for_spans(2, predicate=lambda span: span.name == "a")) == 2
    sender.join()


def test_waiting_in_vain_fails_with_what_came(own):
    provider, make = tracer(own)
    with make.start_as_current_span("turn"):
        make.start_span("inner").end()
    provider.shutdown()
    with pytest.raises(AssertionError, match=r"mode answer, 2 exports\ntrace \w{32}\nturn INTERNAL\n  inner"):
        own.wait_for_spans(3, seconds=0)


def test_a_trace_is_whole_when_no_parent_is_missing(own):
    provider, make = tracer(own)
    with make.start_as_current_span("served", kind=SpanKind.SERVER) as server:
        trace_id = f"{server.get_span_context().trace_id:032x}"
        agent = make.start_span("agent")
        from opentelemetry.trace import set_span_in_context

        make.start_span("model", set_span_in_context(agent)).end()
    with pytest.raises(AssertionError, match="still not so"):
        own.wait_for_trace(trace_id, seconds=0)
    agent.end()
    assert len(own.wait_for_trace(trace_id)) == 3
    provider.shutdown()


def test_clearing_forgets_all(own):
    export(own)
    own.clear()
    assert (own.attempts, own.spans(), own.logs(), own.metric_names()) == (0, [], [], set())


def test_settings_name_the_port_of_the_protocol(own):
    assert own.settings() == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{own.http_port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    assert own.settings("grpc")["OTEL_EXPORTER_OTLP_ENDPOINT"].endswith(f":{own.grpc_port}")
    with pytest.raises(KeyError):
        own.settings("http/json")
