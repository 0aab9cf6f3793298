from importlib.metadata import version

import pytest

from telemetry.providers import instruments, settle, spare

VERSION = f"service.version={version('parley')}"
OURS = {
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "128",
    "OTEL_SERVICE_NAME": "parley",
    "OTEL_RESOURCE_ATTRIBUTES": VERSION,
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "40",
    "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "40",
}
SAMPLER = "OTEL_TRACES_SAMPLER"
OFF = "parentbased_always_off"
DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"


def settled(**given: str) -> dict[str, str]:
    """What is added to the environment, or changed in it, besides our defaults."""
    environ = dict(given)
    settle(environ)
    assert all(environ[name] == value for name, value in given.items() if value)
    return {name: value for name, value in environ.items() if name not in given and name not in OURS}


def of(protocol: str, *signals: str) -> dict[str, str]:
    named = {f"OTEL_{signal}_EXPORTER": "otlp" for signal in signals}
    return named | {f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL": protocol for signal in signals}


ALL = ("TRACES", "METRICS", "LOGS")
HTTP, GRPC = "http/protobuf", "grpc"


def test_with_nothing_set_nothing_is_exported():
    environ: dict[str, str] = {}
    settle(environ)
    assert environ == OURS


@pytest.mark.parametrize(
    ("endpoint", "protocol"),
    [
        ("http://127.0.0.1:4318", HTTP),
        ("http://127.0.0.1:4318/", HTTP),
        ("https://collector.example:4318/prefix", HTTP),
        ("http://[::1]:4318", HTTP),
        ("127.0.0.1:4318", HTTP),
        ("http://user:4317@collector.example:4318", HTTP),
        ("http://127.0.0.1:4317", GRPC),
        ("127.0.0.1:4317", GRPC),
        ("https://collector.example", GRPC),
        ("http://127.0.0.1:43180", GRPC),
        ("http://127.0.0.1/4318", GRPC),
        ("http://127.0.0.1:none", GRPC),
        ("http://127.0.0.1:99999", GRPC),
        ("http://[::1", GRPC),
        ("unix:///run/collector.sock", GRPC),
    ],
)
def test_one_endpoint_means_otlp_for_all_signals_by_its_ports_protocol(endpoint, protocol):
    assert settled(**{ENDPOINT: endpoint}) == of(protocol, *ALL)


@pytest.mark.parametrize("signal", ALL)
def test_an_endpoint_of_one_signal_is_for_that_signal(signal):
    given = {f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT": "http://127.0.0.1:4318/v1/x"}
    assert settled(**given) == of(HTTP, signal)


def test_a_signals_own_endpoint_goes_before_the_common_one():
    given = {ENDPOINT: "http://a:4317", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://b:4318"}
    assert settled(**given) == of(GRPC, "TRACES", "METRICS") | of(HTTP, "LOGS")


@pytest.mark.parametrize("exporter", ["none", "console", "otlp_proto_http", "mine,otlp"])
def test_an_exporter_that_is_named_stays(exporter):
    told = settled(**{ENDPOINT: "http://a:4318", "OTEL_TRACES_EXPORTER": exporter})
    assert "OTEL_TRACES_EXPORTER" not in told
    assert told["OTEL_METRICS_EXPORTER"] == told["OTEL_LOGS_EXPORTER"] == "otlp"


def test_a_protocol_that_is_named_stays_whatever_the_port():
    assert settled(**{ENDPOINT: "http://a:4318", PROTOCOL: GRPC}) == {
        f"OTEL_{signal}_EXPORTER": "otlp" for signal in ALL
    }


def test_a_signals_own_protocol_stays():
    given = {ENDPOINT: "http://a:4318", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": GRPC}
    assert settled(**given) == of(HTTP, "TRACES", "METRICS") | {"OTEL_LOGS_EXPORTER": "otlp"}


@pytest.mark.parametrize("name", [ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_an_empty_endpoint_is_none(name):
    assert settled(**{name: ""}) == {}


def test_empty_exporter_and_protocol_are_unset():
    environ = {ENDPOINT: "http://a:4318", "OTEL_TRACES_EXPORTER": "", PROTOCOL: ""}
    settle(environ)
    assert environ.items() >= of(HTTP, *ALL).items()


def test_an_exporter_without_an_endpoint_is_the_operators_own_affair():
    assert settled(OTEL_TRACES_EXPORTER="otlp") == {}


def test_a_configuration_file_speaks_for_itself():
    assert settled(**{"OTEL_CONFIG_FILE": "otel.yaml", ENDPOINT: "http://a:4318"}) == {}


def test_a_time_for_all_signals_is_not_overruled():
    environ = {"OTEL_EXPORTER_OTLP_TIMEOUT": "7"}
    settle(environ)
    assert {environ[f"OTEL_EXPORTER_OTLP_{signal}_TIMEOUT"] for signal in ("TRACES", "LOGS")} == {"7"}


def test_a_configuration_file_speaks_for_times_too():
    environ = {"OTEL_CONFIG_FILE": "otel.yaml"}
    settle(environ)
    assert not any(name.endswith("_TIMEOUT") for name in environ)


def test_an_empty_configuration_file_is_none():
    assert settled(**{"OTEL_CONFIG_FILE": "", ENDPOINT: "http://a:4318"}) == of(HTTP, *ALL)


@pytest.mark.parametrize("name", OURS)
def test_no_default_overrules_the_operator(name):
    given = "service.version=9" if name == "OTEL_RESOURCE_ATTRIBUTES" else "theirs"
    environ = {name: given}
    settle(environ)
    assert environ[name] == given


@pytest.mark.parametrize("name", OURS)
def test_an_empty_value_is_unset(name):
    environ = {name: ""}
    settle(environ)
    assert environ == OURS


@pytest.mark.parametrize(
    ("given", "name", "attributes"),
    [
        ("a=b", "parley", f"a=b,{VERSION}"),
        ("service.name=theirs", None, f"service.name=theirs,{VERSION}"),
        (" service.name = theirs ,a=b", None, f" service.name = theirs ,a=b,{VERSION}"),
        ("service.version=9", "parley", "service.version=9"),
        ("service.name=theirs,service.version=9", None, "service.name=theirs,service.version=9"),
        (
            "my.service.name=x,peer.service.version=2",
            "parley",
            f"my.service.name=x,peer.service.version=2,{VERSION}",
        ),
        ("a=service.name=x", "parley", f"a=service.name=x,{VERSION}"),
        ("a=b,", "parley", f"a=b,{VERSION}"),
        (" ", "parley", VERSION),
    ],
)
def test_name_and_version_of_the_service(given, name, attributes):
    environ = {"OTEL_RESOURCE_ATTRIBUTES": given}
    settle(environ)
    assert environ.get("OTEL_SERVICE_NAME") == name
    assert environ["OTEL_RESOURCE_ATTRIBUTES"] == attributes


@pytest.mark.parametrize(
    ("given", "sampler", "disabled", "off"),
    [
        ({}, OFF, "asgi", "true"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": ""}, OFF, "asgi", "true"),
        ({"OTEL_SDK_DISABLED": "false"}, OFF, "asgi", "false"),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://a:4318"}, OFF, "asgi", None),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://a:4318"}, OFF, None, None),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a:4318"}, None, None, None),
        ({ENDPOINT: "http://a:4318"}, None, None, None),
        ({ENDPOINT: "http://a:4318", "OTEL_SDK_DISABLED": "true"}, OFF, "asgi", "true"),
        ({"OTEL_TRACES_EXPORTER": "console"}, None, None, None),
        ({"OTEL_TRACES_EXPORTER": "none,mine"}, None, None, None),
        ({"OTEL_CONFIG_FILE": "otel.yaml"}, None, None, None),
        ({SAMPLER: "always_on", DISABLED: "redis"}, "always_on", "redis", None),
        ({ENDPOINT: "http://a:4318", DISABLED: "redis, asgi"}, None, "redis, asgi", None),
    ],
)
def test_what_nobody_takes_is_not_made_unless_the_operator_says_so(given, sampler, disabled, off):
    environ = dict(given)
    settle(environ)
    spare(environ)
    assert (environ.get(SAMPLER), environ.get(DISABLED)) == (sampler, disabled)
    assert environ.get("OTEL_SDK_DISABLED") == off
    assert instruments(environ) is ("asgi" not in (disabled or ""))


def test_settling_twice_is_settling_once():
    environ = {ENDPOINT: "http://a:4318", "OTEL_RESOURCE_ATTRIBUTES": "a=b"}
    settle(environ)
    once = dict(environ)
    settle(environ)
    assert environ == once
