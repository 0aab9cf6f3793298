"""The dashboard: as its generator writes it, about metrics that are emitted, in PromQL that parses."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from telemetry import names, prometheus
from telemetry.alerts.groups import GROUPS
from telemetry.alerts.rule import Recording
from telemetry.dashboards.grafana import as_json
from telemetry.dashboards.panel import Panel, Query, Section
from telemetry.dashboards.sections import SECTIONS
from tests.telemetry.alerts.trial import promtool

ROOT = Path(__file__).parents[3]
WRITTEN = as_json(SECTIONS)
PANELS = [panel for panel in json.loads(WRITTEN)["panels"] if panel["type"] != "row"]
ASKED = [target["expr"] for panel in PANELS for target in panel["targets"] if "expr" in target]
RECORDED = {rule.name for group in GROUPS for rule in group.rules if isinstance(rule, Recording)}
KNOWN = {value for value in vars(names).values() if isinstance(value, str)}
SERIES = re.compile(r"(?<![:\w])(?:parley|gen_ai)_\w+(?=[{\[)]|$)")


def not_emitted(expr: str) -> set[str]:
    plain = re.sub(r"\bby \(.*?\)", "", expr)
    return (set(SERIES.findall(plain)) - prometheus.every_series()) | (
        set(re.findall(r"\b\w+:\w+:\w+", plain)) - RECORDED
    )


def test_the_committed_file_is_the_generators():
    assert (ROOT / "telemetry" / "dashboards" / "parley.json").read_text() == WRITTEN


@pytest.mark.parametrize("expr", ASKED)
def test_no_panel_is_on_a_metric_that_is_not_emitted(expr: str):
    assert SERIES.search(expr) or re.search(r"\w+:\w+:\w+", expr)
    assert not not_emitted(expr)


def test_one_that_is_not_emitted_would_be_found():
    assert not_emitted("sum by (x) (rate(parley_wishes_total[5m])) / a:parley_b:c") == {
        "parley_wishes_total",
        "a:parley_b:c",
    }


def test_every_metric_is_on_a_panel():
    shown = "\n".join(
        [*ASKED, *(rule.expr for g in GROUPS for rule in g.rules if isinstance(rule, Recording))]
    )
    forgotten = {name for name in prometheus.ENDINGS if not any(s in shown for s in prometheus.spelled(name))}
    assert not forgotten


def test_prometheus_reads_every_query(tmp_path: Path):
    rules = [
        {"record": f"panel:{number}", "expr": expr.replace("$__rate_interval", "1m")}
        for number, expr in enumerate(ASKED)
    ]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = promtool("check", "rules", "panels.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ASKED)} rules found" in done.stdout


def test_legends_name_labels_that_the_query_keeps():
    for panel in PANELS:
        for target in panel["targets"]:
            for label in re.findall(r"{{(\w+)}}", target.get("legendFormat", "")):
                assert label in target["expr"] or ":" in target["expr"], target


def test_panels_do_not_lie_on_each_other_and_have_ids_of_their_own():
    every = json.loads(WRITTEN)["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    assert not [pair for pair in combinations((panel["gridPos"] for panel in every), 2) if overlap(*pair)]
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in every)


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in ("xw", "yh")
    )


def test_exemplars_and_rows_lead_to_traces():
    page = json.loads(WRITTEN)
    with_dots = [
        panel["title"] for panel in PANELS if any(target.get("exemplar") for target in panel["targets"])
    ]
    assert "A whole turn" in with_dots
    searches = [
        target for panel in PANELS for target in panel["targets"] if target.get("queryType") == "search"
    ]
    assert {search["tags"].partition("=")[0] for search in searches} <= KNOWN
    assert searches
    assert sources(page) == {"${prometheus}", "${jaeger}"}
    chosen = {each["name"]: each["current"]["value"] for each in page["templating"]["list"]}
    provisioned = (ROOT / "telemetry" / "stack" / "grafana" / "datasources" / "parley.yml").read_text()
    assert all(f"uid: {uid}" in provisioned for uid in chosen.values())
    assert re.search(r"exemplarTraceIdDestinations:\s+- name: trace_id\s+datasourceUid: jaeger", provisioned)


def sources(page: dict[str, Any]) -> set[str]:
    return set(re.findall(r'"uid":"(\$\{\w+\})"', json.dumps(page, separators=(",", ":"))))


def test_a_section_is_drawn_as_it_is_told():
    panel = Panel(
        title="T", queries=(Query("parley_turns_total", "{{outcome}}"),), said="S", unit="s", alarm=2
    )
    drawn = json.loads(as_json([Section("Row", (panel,))]))["panels"][1]
    assert drawn["gridPos"] == {"x": 0, "y": 1, "w": 8, "h": 8}
    assert drawn["fieldConfig"]["defaults"]["unit"] == "s"
    assert drawn["fieldConfig"]["defaults"]["thresholds"]["steps"][1] == {"color": "red", "value": 2}
