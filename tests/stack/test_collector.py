"""otel-collector.yaml as it stands: what its parts are, in which order, and what its patterns mask.

Refuses to vouch for what only the collector knows; `python -m telemetry.stack check` asks that.
"""

import re

import pytest

from config import Settings
from telemetry import names, record
from telemetry.stack import versions
from tests.stack.written import ROOT, STACK, merged, modules, read, variables

PATH = ROOT / "otel-collector.yaml"
WRITTEN = read(PATH)
HARDENED = merged(WRITTEN, read(STACK / "hardened.yaml"))
PIPELINES = WRITTEN["service"]["pipelines"]
NAMES = [value for key, value in vars(names).items() if key.isupper() and isinstance(value, str)]
MODULES = {"otlp_grpc": "otlpexporter", "file_storage": "filestorage"}
"""Types whose module is not called after them."""

SECRETS = [
    "sk-ant-api03-AbC_123-xyz",
    "sk-proj-0123456789abcdef",
    f"parley_{'0a' * 8}_{'0123456789abcdef' * 4}",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1" * 18,
    "Bearer abcdefgh12345",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl",
    "a.person+tag@mail.example.org",
    "203.0.113.7",
    "2001:db8:85a3:0:0:8a2e:370:7334",
    "2001:db8::1",
]
HARMLESS = [
    "claude-sonnet-5-5",
    "POST /api/v1/agent/chat",
    "019a1b2c-3d4e-7f50-8a9b-0c1d2e3f4a5b",
    "0af7651916cd43dd8448eb211c80319c",
    "2026-11-27T11:04:33.123Z",
    "risk-assessment",
    "task-0123456789abcdefghij",
    "1.45.2",
    "12:34:56",
    "ask me@home",
]


@pytest.mark.parametrize("kind", ["receivers", "processors", "exporters"])
def test_pipelines_name_what_there_is_and_all_of_it(kind):
    named = {each for pipeline in PIPELINES.values() for each in pipeline.get(kind, ())}
    ends = set(WRITTEN["connectors"]) if kind != "processors" else set()
    assert named - ends == set(WRITTEN[kind])
    assert ends <= named


@pytest.mark.parametrize("written", [WRITTEN, HARDENED], ids=["plain", "hardened"])
def test_every_extension_is_started(written):
    assert set(written["service"]["extensions"]) == set(written["extensions"])


@pytest.mark.parametrize("kind", ["receivers", "processors", "connectors", "exporters", "extensions"])
def test_what_it_names_is_built_in_and_nothing_else(kind):
    named = {module(each.split("/")[0], kind) for each in HARDENED[kind]}
    assert named <= modules()[kind]
    assert modules()[kind] - named <= {"debugexporter"}  # for whoever looks into a pipeline


def module(name: str, kind: str) -> str:
    return MODULES.get(name, name.replace("_", "") + kind.removesuffix("s"))


def test_the_limiter_of_memory_is_first_wherever_something_comes_in():
    entries = [pipeline for pipeline in PIPELINES.values() if "otlp" in pipeline["receivers"]]
    assert len(entries) == 3
    assert {pipeline["processors"][0] for pipeline in entries} == {"memory_limiter"}


def test_nothing_that_comes_in_leaves_unmasked():
    for pipeline in PIPELINES.values():
        if "otlp" in pipeline["receivers"]:
            lift, mask, lower = pipeline["processors"][1:4]
            assert (lift, mask.split("/")[0], lower) == ("transform/lift", "redaction", "transform/trim")


def test_spans_are_measured_before_they_are_sampled():
    measured = [pipeline for pipeline in PIPELINES.values() if "span_metrics" in pipeline["exporters"]]
    sampled = [pipeline for pipeline in PIPELINES.values() if "tail_sampling" in pipeline["processors"]]
    (measured,), (sampled,) = measured, sampled
    assert "tail_sampling" not in measured["processors"]
    assert set(sampled["receivers"]) <= set(measured["exporters"])
    assert sampled["exporters"] == ["otlp_grpc/jaeger"]


def test_errors_refusals_and_slow_ones_are_kept_by_the_names_the_service_emits():
    policies = {policy["name"]: policy for policy in WRITTEN["processors"]["tail_sampling"]["policies"]}
    category = policies["error-categories"]["string_attribute"]
    refusals = policies["refusals"]["string_attribute"]
    assert set(policies) == {"errors", "error-categories", "refusals", "slow", "share"}
    assert (category["key"], category["values"]) == (names.ERROR_CATEGORY, [".+"])
    assert refusals["key"] == names.LIMIT_DECISION
    assert set(refusals["values"]) == {each.value for each in record.Decision} - {"allowed"}


def test_a_trace_waits_longer_than_the_longest_turn():
    waits = variables(PATH)["SAMPLING_WAIT"]
    assert int(waits.removesuffix("s")) * 1000 > Settings().model.turn_timeout_ms


def test_dimensions_of_spans_are_names_of_ours():
    dimensions = [each["name"] for each in WRITTEN["connectors"]["span_metrics"]["dimensions"]]
    assert set(dimensions) <= set(NAMES)


def test_what_waits_for_jaeger_is_on_disk_and_never_given_up():
    exporter = WRITTEN["exporters"]["otlp_grpc/jaeger"]
    assert exporter["sending_queue"]["storage"] in WRITTEN["extensions"]
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"


def test_every_variable_has_a_default_and_is_told_at_the_top():
    head = PATH.read_text().partition("extensions:")[0]
    found = variables(PATH)
    assert all(default for default in found.values())
    assert {name for name in found if name not in head} == set()


def test_it_listens_on_the_loopback_unless_told_otherwise():
    assert variables(PATH)["COLLECTOR_HOST"] == "127.0.0.1"
    assert not re.search(
        r"endpoint: (?!\$\{env:(COLLECTOR_HOST|JAEGER_OTLP_ENDPOINT):-127\.0\.0\.1)", PATH.read_text()
    )


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_and_addresses_are_masked(secret):
    masked = f"said {secret}, then"
    for pattern in WRITTEN["processors"]["redaction"]["blocked_values"]:
        masked = re.sub(pattern, "****", masked)
    assert masked == "said ****, then"


@pytest.mark.parametrize("text", [*HARMLESS, *NAMES])
def test_what_is_no_secret_stays(text):
    patterns = WRITTEN["processors"]["redaction"]["blocked_values"]
    assert [pattern for pattern in patterns if re.search(pattern, text)] == []


@pytest.mark.parametrize("text", ["127.0.0.1", "127.0.0.1:3005"])
def test_the_loopback_s_own_address_stays(text):
    assert any(re.search(pattern, text) for pattern in WRITTEN["processors"]["redaction"]["allowed_values"])


@pytest.mark.parametrize("text", [*SECRETS, "127.0.0.10", "10.127.0.0.1", "127.0.0.1 a@b.example"])
def test_no_other_value_stays_for_what_it_is(text):
    assert not any(
        re.search(pattern, text) for pattern in WRITTEN["processors"]["redaction"]["allowed_values"]
    )
    assert "ignored_keys" not in WRITTEN["processors"]["redaction"]


def test_no_name_of_ours_is_masked_for_its_name():
    patterns = WRITTEN["processors"]["redaction"]["blocked_key_patterns"]
    assert [name for name in NAMES if any(re.fullmatch(pattern, name) for pattern in patterns)] == []


@pytest.mark.parametrize("key", ["http.request.header.authorization", "x-api-key", "Cookie", "db.password"])
def test_keys_that_hold_secrets_are_masked_whatever_they_hold(key):
    patterns = WRITTEN["processors"]["redaction"]["blocked_key_patterns"]
    assert any(re.fullmatch(pattern, key) for pattern in patterns)


def test_metrics_are_masked_by_the_same_patterns_and_get_no_label_by_it():
    of_metrics = WRITTEN["processors"]["redaction/metrics"]
    assert of_metrics == WRITTEN["processors"]["redaction"] | {"summary": "silent"}


PUT = re.compile(r"set\((?P<to>.+), (?P<of>.+)\)")
LIFTED = re.compile(r'\w+\.attributes\["lifted\.\w+"\]')


def test_what_is_lifted_into_attributes_is_put_back_where_it_was_and_leaves_none():
    lift, trim = (WRITTEN["processors"][f"transform/{name}"] for name in ("lift", "trim"))
    for kind, groups in lift.items():
        for group in groups if kind != "error_mode" else ():
            back = next(
                (each for each in trim[kind] if each["context"] == group["context"]), {"statements": ()}
            )
            put = [PUT.fullmatch(each) for each in back["statements"] if each.startswith("set(")]
            lifted = [PUT.fullmatch(each) for each in group["statements"] if each.startswith("set(")]
            assert {(each["to"], each["of"]) for each in lifted} == {(each["of"], each["to"]) for each in put}
            assert all(LIFTED.fullmatch(each["to"]) for each in lifted)
            taken = f'delete_matching_keys({group["context"]}.attributes, "^lifted\\\\.")'
            assert not lifted or taken in back["statements"]


@pytest.mark.parametrize("name", ["transform/lift", "transform/trim"])
def test_statements_are_in_one_group_for_each_context(name):
    for groups in (value for key, value in WRITTEN["processors"][name].items() if "statements" in key):
        for group in groups:
            assert all(f"({group['context']}." in each for each in group["statements"])


def test_hardened_lets_nobody_in_without_tls_and_a_token():
    for protocol in HARDENED["receivers"]["otlp"]["protocols"].values():
        assert protocol["tls"]["cert_file"]
        assert protocol["tls"]["key_file"]
        assert protocol["tls"]["min_version"] == "1.3"
        assert protocol["auth"]["authenticator"] == "bearertokenauth"
    assert HARDENED["exporters"]["otlp_grpc/jaeger"]["tls"]["insecure"] == "${env:JAEGER_INSECURE:-false}"


def test_the_manifest_is_of_one_version():
    text = (STACK / "builder.yaml").read_text()
    assert read(STACK / "builder.yaml")["dist"]["version"] == versions.COLLECTOR
    assert set(re.findall(r" v(0\.\d+\.\d+)$", text, re.MULTILINE)) == {versions.COLLECTOR}
    assert len(set(re.findall(r" v(1\.\d+\.\d+)$", text, re.MULTILINE))) == 1
