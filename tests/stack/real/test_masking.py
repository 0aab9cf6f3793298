"""Secrets in every place that OTLP has for words, sent through the real collector: none arrives.

Refuses to trust a configuration that was only read.
"""

import json

import httpx
import pytest

from tests.stack.real import poison
from tests.stack.real.asking import get
from tests.stack.real.patience import until
from tests.stack.real.stack import Stack

TOLD = [each.partition("{}")[0] for each in poison.SECRETS.values()] + ["sesame"]
KEPT = ("4711", "a harmless word")


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(tmp_path_factory.mktemp("masking"), ("jaeger", "collector")) as running:
        yield running


def leaks(text: str) -> list[str]:
    """What of the secrets is in a text, with what stands around it."""
    found = ((secret, text.find(secret)) for secret in TOLD)
    return [text[max(0, at - 80) : at + 120] for _, at in found if at >= 0]


def trace(stack: Stack, *, links: bool) -> str:
    """A poisoned trace as Jaeger tells it."""
    trace_id, request = poison.traces(links=links)
    poison.send(stack.address(4318), "traces", request)
    url = f"http://{stack.address(16686)}/api/v3/traces/{trace_id}"
    until(lambda: httpx.get(url, trust_env=False).status_code == 200, seen=stack.said)
    return json.dumps(get(url))


def test_none_of_a_trace_reaches_jaeger(stack):
    told = trace(stack, links=False)
    assert leaks(told) == []
    assert all(word in told for word in KEPT)
    assert "lifted" not in told


def test_what_hangs_on_a_link_is_not_masked_as_is_said(stack):
    """No processor of the collector looks there: the service makes no links, which test_proof sees."""
    told = json.loads(trace(stack, links=True))
    (span,) = told["result"]["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert leaks(json.dumps(span.pop("links"))) != []
    assert leaks(json.dumps(told)) == []


def test_none_of_a_log_record_reaches_the_file(stack):
    poison.send(stack.address(4318), "logs", poison.logs())
    path = stack.data / "events.jsonl"
    until(lambda: path.exists() and path.read_text().count("bodymap") > 0, seen=stack.said)
    told = path.read_text()
    assert leaks(told) == []
    assert all(word in told for word in KEPT)
    assert "lifted" not in told


def test_none_of_a_metric_reaches_prometheus(stack):
    poison.send(stack.address(4318), "metrics", poison.metrics())

    def told() -> str:
        return httpx.get(
            f"http://{stack.address(8889)}/metrics",
            headers={"Accept": "application/openmetrics-text"},
            trust_env=False,
        ).text

    until(lambda: "poisoned_histogram" in told(), seen=stack.said)
    text = told()
    assert leaks(text) == []
    assert 'gen_ai_usage_input_tokens="4711"' in text
    assert "lifted" not in text
    assert 'trace_id="' in text
