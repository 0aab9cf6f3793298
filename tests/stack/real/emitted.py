"""Which names may leave the house: those of telemetry/names, and the few that are libraries' own.

Refuses patterns that would let a new name pass: every name that is not ours is written out.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from telemetry import names
from tests.stack.written import ROOT

OURS = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
SPANS = re.compile(
    r"POST /api/v1/agent/chat|invoke_agent parley|chat claude-[\w-]+|execute_tool (calculate|current_time)"
)

HTTP = {
    *("client.address", "client.port", "http.request.method", "http.response.status_code", "http.route"),
    *("network.protocol.version", "url.path", "url.scheme", "user_agent.original"),
}
"""The server's span, by opentelemetry-instrumentation-asgi."""
MASKED = {f"redaction.{what}.count" for what in ("masked", "allowed", "ignored")}
"""The collector's own account of what it did."""
JAEGER = {"error", "otel.scope.name", "otel.scope.version", "otel.status_code", "otel.status_description"}
"""How Jaeger tells status and scope."""
ATTRIBUTES = OURS | HTTP | MASKED | JAEGER
RESOURCE = {
    *("service.name", "service.version", "service.instance.id"),
    *("telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version"),
}
"""The SDK's."""

SCOPE = ("otel_scope_name", "otel_scope_version", "otel_scope_schema_url")
SCRAPED = {"job", "instance", "__name__", "le", *SCOPE}
"""Labels by Prometheus and by the collector's exporter."""
SERVED = {
    *("http_request_method", "http_response_status_code", "http_route", "error_type"),
    *("network_protocol_version", "url_scheme"),
}
MEASURED = {
    *("span_name", "span_kind", "status_code", "service_name"),
    *("gen_ai_operation_name", "gen_ai_request_model", "error_type", "parley_error_category"),
}
FOREIGN = {
    "target_info": {each.replace(".", "_") for each in RESOURCE},
    "http_server_active_requests": {"http_request_method", "url_scheme"},
    "http_server_request_duration": SERVED,
    "http_server_request_body_size": SERVED,
    "http_server_response_body_size": SERVED,
    "traces_span_metrics_calls": MEASURED,
    "traces_span_metrics_duration": MEASURED,
}
"""Metrics that are not the service's own, with their labels."""
SUFFIX = re.compile(r"(_(seconds|bytes|ratio))?(_(total|bucket|sum|count))?$")
BRACES = re.compile(r'"(?P<metric>parley\.[a-z_.]+)"  # \{(?P<labels>[a-z, ]+)\}')


def ours() -> dict[str, set[str]]:
    """Our metrics as Prometheus calls them, with their labels: the words in braces of telemetry/names."""
    said = (ROOT / "telemetry" / "names.py").read_text()
    braces = {each["metric"]: set(each["labels"].split(", ")) for each in BRACES.finditer(said)}
    model = {each.replace(".", "_") for each in OURS if each.startswith(("gen_ai.", "error."))}
    return {each.replace(".", "_"): braces.get(each, model if "gen_ai" in each else set()) for each in OURS}


def unknown(series: Mapping[str, str]) -> set[str]:
    """What of a series is nobody's: its name, or labels."""
    name = series["__name__"]
    known = FOREIGN | ours()
    allowed = known.get(name, known.get(SUFFIX.sub("", name)))
    return {name} if allowed is None else set(series) - SCRAPED - allowed


class Record(Struct, frozen=True):
    """One log record that the collector wrote: its type, and the keys of its attributes."""

    name: str
    keys: frozenset[str]
    resource: frozenset[str]


def records(line: str) -> Iterator[Record]:
    """Those of one line of events.jsonl."""
    for group in json.loads(line)["resourceLogs"]:
        for scoped in group["scopeLogs"]:
            for each in scoped["logRecords"]:
                yield Record(each["eventName"], keys(each), keys(group["resource"]))


def keys(told: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(pair["key"] for pair in told.get("attributes", ()))


def strange(record: Record) -> set[str]:
    """What a record says that its sample, the contract's, does not."""
    sample = json.loads((ROOT / f"tests/contracts/samples/lines/{record.name}.json").read_text())
    allowed = set(sample) | {names.USER_PSEUDONYM} | MASKED
    return (record.keys - allowed) | (record.resource - RESOURCE)
