import pytest

from telemetry.providers import endpoints

ALL = ("traces", "metrics", "logs")


def told(**environ):
    return [(each.signal, each.url, each.protocol) for each in endpoints(environ)]


def of(url, protocol, *signals):
    return [(signal, url, protocol) for signal in signals or ALL]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}, of("http://a:4318", "http/protobuf")),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1"}, of("http://a:1", "grpc")),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            of("http://a:1", "http/protobuf"),
        ),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://a:4318"}, of("http://a:4318", "http/protobuf", "logs")),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, of("http://localhost:4317", "grpc", "traces")),
        ({"OTEL_TRACES_EXPORTER": "otlp_proto_http"}, of("http://localhost:4318", "http/protobuf", "traces")),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, of("http://localhost:4317", "grpc", "traces")),
        ({"OTEL_TRACES_EXPORTER": "console"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318", "OTEL_SDK_DISABLED": "TRUE"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318", "OTEL_CONFIG_FILE": "otel.yaml"}, []),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318", "OTEL_METRICS_EXPORTER": "none"},
            of("http://a:4318", "http/protobuf", "traces", "logs"),
        ),
    ],
)
def test_where_each_signal_would_leave(environ, expected):
    assert told(**environ) == expected


def test_asking_changes_nothing():
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}
    endpoints(environ)
    assert environ == {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}
