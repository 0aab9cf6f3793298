"""What Jaeger, Prometheus and the collector answer, as plain values.

Refuses to interpret: an answer that is no success fails the test with its text.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from msgspec import Struct

MOST = 5_000
"""Traces that one search may find."""
SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Traced(Struct, frozen=True, kw_only=True):
    """One span as Jaeger tells it; `parent` is empty on a root, `kind` in small letters."""

    trace_id: str
    span_id: str
    parent: str
    name: str
    kind: str
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    events: tuple[Mapping[str, Any], ...] = ()
    links: int = 0


def get(url: str, **parameters: str) -> Any:
    """The JSON that an address answers."""
    answer = httpx.get(url, params=parameters, timeout=30, trust_env=False)
    assert answer.status_code == 200, f"{url} {parameters}: {answer.status_code} {answer.text}"
    return answer.json()


def traces(
    jaeger: str, tags: Mapping[str, str] | None = None, service: str = "parley"
) -> dict[str, list[Traced]]:
    """Every trace of a service in which a span has all these tags, by its id."""
    asked = {"service": service, "limit": str(MOST), "lookback": "1h"}
    found = get(f"http://{jaeger}/api/traces", **asked, **({"tags": json.dumps(tags)} if tags else {}))
    return {each["traceID"].rjust(32, "0"): list(_spans(each)) for each in found["data"] or ()}


def _spans(trace: Mapping[str, Any]) -> Iterator[Traced]:
    for span in trace["spans"]:
        parents = [each["spanID"] for each in span["references"] if each["refType"] == "CHILD_OF"]
        attributes = _tags(span["tags"])
        yield Traced(
            trace_id=span["traceID"].rjust(32, "0"),
            span_id=span["spanID"],
            parent=parents[0] if parents else "",
            name=span["operationName"],
            kind=attributes.pop("span.kind", "internal"),
            attributes=attributes,
            resource=_tags(trace["processes"][span["processID"]]["tags"]),
            events=tuple(_tags(each["fields"]) for each in span["logs"]),
            links=len(span["references"]) - len(parents),
        )


def _tags(pairs: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: pair["value"] for pair in pairs}


def query(prometheus: str, expression: str) -> list[tuple[dict[str, str], float]]:
    """Each series of an instant vector: its labels and its value now."""
    found = get(f"http://{prometheus}/api/v1/query", query=expression)["data"]["result"]
    return [(each["metric"], float(each["value"][1])) for each in found]


def total(prometheus: str, expression: str, *labels: str) -> dict[Any, float]:
    """The values by a label, or by several of them."""
    sums: dict[Any, float] = {}
    for metric, value in query(prometheus, expression):
        key = metric[labels[0]] if len(labels) == 1 else tuple(metric[label] for label in labels)
        sums[key] = sums.get(key, 0) + value
    return sums


def series(prometheus: str, match: str) -> list[dict[str, str]]:
    """The labels of every series that ever was."""
    return get(f"http://{prometheus}/api/v1/series", **{"match[]": match})["data"]


def rules(prometheus: str) -> list[Mapping[str, Any]]:
    """Every rule with its health."""
    groups = get(f"http://{prometheus}/api/v1/rules")["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def exposed(address: str) -> list[tuple[str, dict[str, str], float]]:
    """What an endpoint of metrics shows: names, labels and values."""
    text = httpx.get(f"http://{address}/metrics", timeout=30, trust_env=False).text
    found = filter(None, map(SAMPLE.match, text.splitlines()))
    return [(each["name"], dict(LABEL.findall(each["labels"] or "")), float(each["value"])) for each in found]


def summed(address: str, name: str, **labels: str) -> float:
    """The sum of an endpoint's series of one name that have these labels."""
    return sum(
        value
        for found, its, value in exposed(address)
        if found in {name, f"{name}_total"} and labels.items() <= its.items()
    )
