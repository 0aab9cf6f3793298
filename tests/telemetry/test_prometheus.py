"""Prometheus's names for our metrics are what the units make of them where the instruments really are."""

import json
import subprocess
import sys

from telemetry import names, prometheus

# in a process of its own: providers are set once
REALLY = """
import json
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
provider = MeterProvider([InMemoryMetricReader()])
metrics.set_meter_provider(provider)
from telemetry import log, sink
from telemetry.sinks.metrics import MetricSink
from config.settings import Settings
import service.agent.upstream.meters, service.audit.ledger
import service.limits.meters, service.limits.budget.meters
import service.audit.checkpoints, service.audit.verdict, service.workers, service.web.feedback
import service.tools.mcp.meters
MetricSink(Settings())
meter = metrics.get_meter("parley")
made = meter._instrument_id_instrument.values()
print(json.dumps([[each.name, each.unit, type(each).__name__.lstrip("_")] for each in made]))
"""
UNITS = {"s": "_seconds", "By": "_bytes", "1": "_ratio"}
KINDS = {"Counter": ("_total",), "ObservableCounter": ("_total",), "Histogram": ("_bucket", "_sum", "_count")}


def endings(name: str, unit: str, kind: str) -> tuple[str, ...]:
    """As OpenTelemetry's exporters do: a unit's word unless the name says it; braces are dropped."""
    word = UNITS.get(unit, "")
    if word == "_ratio" and kind != "ObservableGauge":
        word = ""
    word = "" if word.strip("_") in name.split(".") else word
    return tuple(word + ending for ending in KINDS.get(kind, ("",)))


def test_every_metric_is_spelled_as_it_is_emitted():
    ran = subprocess.run((sys.executable, "-c", REALLY), capture_output=True, text=True, check=True)
    really = {name: endings(name, unit, kind) for name, unit, kind in json.loads(ran.stdout)}
    assert really == dict(prometheus.ENDINGS)


def test_it_spells_only_what_has_a_name():
    known = {value for value in vars(names).values() if isinstance(value, str)}
    assert set(prometheus.ENDINGS) <= known
    assert "parley_disk_free_bytes" in prometheus.every_series()
