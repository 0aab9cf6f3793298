"""Every panel of the dashboard answers: PromQL, evaluated by Prometheus's own engine on what was exported.

Names and labels are those that the real collector shows of a real service. Only time is made up: a day in
which counters go on as they began, so that rules and windows have something to look back on.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.alerts.groups import GROUPS
from telemetry.alerts.rules_file import as_yaml
from telemetry.dashboards.grafana import as_json
from telemetry.dashboards.sections import SECTIONS
from tests.conftest import SOON
from tests.harness.chat import ask
from tests.harness.redis import Redis
from tests.harness.service import Service
from tests.harness.waiting import wait
from tests.stack.real import asking
from tests.stack.real.stack import Stack
from tests.telemetry.alerts.trial import promtool

PANELS = [panel for panel in json.loads(as_json(SECTIONS))["panels"] if panel["type"] != "row"]
ASKED = {
    f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "10m")
    for panel in PANELS
    for target in panel["targets"]
    if "expr" in target
}
EMPTY = {
    "Against the same hour last week B": "there is no week to look back on",
    "MCP servers A": "no server is configured",
}
"""Questions that have no answer here, and why."""
COUNTERS = ("_total", "_bucket", "_sum", "_count")
STEP, STEPS, NOW = "2m", 780, "25h"
EVERYTHING = {
    "AGENT_BUDGET_USER_DAY_USD": "100",
    "AGENT_RATE_LIMIT_ROLES": "AUDITEE=6",
    "AGENT_AUDIT_CHECKPOINT_WEBHOOK": "http://127.0.0.1:1/checkpoints",
}
MESSAGES = (
    "What is 12*7? [sim:tool]",
    "[sim:500]",
    "[sim:tool][sim:cut]",
    "",
    "Hello",
    "Hello",
    "Hello",
    "Hello",
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> list[tuple[str, dict[str, str], float]]:
    """What the collector shows once a service of two workers has met everything."""
    with Redis() as redis, Stack(tmp_path_factory.mktemp("stack"), ("collector",)) as stack:
        settings = stack.settings() | SOON | EVERYTHING | {"AGENT_RATE_LIMIT_STORE": redis.url()}
        cwd, address = tmp_path_factory.mktemp("service"), stack.address(8889)
        with Service(cwd, settings, arguments=("--workers", "2")) as service:
            for message in MESSAGES:
                ask(service, message)
            rows = len(service.wait_for_rows(len(MESSAGES)))
            wait(lambda: asking.summed(address, "parley_turns") == rows, seen=stack.said)
            wait(
                lambda: asking.summed(address, "parley_audit_verifications", result="valid"), seen=stack.said
            )
        return [each for each in asking.exposed(address) if each[0].startswith(("parley_", "gen_ai_"))]


def days_long(exported: list[tuple[str, dict[str, str], float]]) -> Iterator[dict[str, str]]:
    """Each series over a day, in promtool's notation."""
    for name, labels, value in exported:
        told = ", ".join(f"{key}={json.dumps(label)}" for key, label in labels.items())
        begin, growth = value, 0.0
        if name.endswith((*COUNTERS, "_rows")):
            growth = value
        elif name == "parley_disk_free_bytes":
            growth = -value / (10 * STEPS)
        yield {"series": f"{name}{{{told}}}", "values": f"{begin:.15g}{growth:+.15g}x{STEPS}"}


def test_every_panel_has_an_answer_or_says_why_not(exported, tmp_path: Path):
    asked = [
        {"expr": f"count({expr}) > bool 0 or vector(0)", "eval_time": NOW, "exp_samples": [one(title)]}
        for title, expr in ASKED.items()
    ]
    test = {"interval": STEP, "input_series": [*days_long(exported)], "promql_expr_test": asked}
    (tmp_path / "rules.yml").write_text(as_yaml(GROUPS))
    written = {"rule_files": ["rules.yml"], "evaluation_interval": STEP, "tests": [test]}
    (tmp_path / "test.yml").write_text(json.dumps(written))
    done = promtool("test", "rules", "test.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(EMPTY) <= set(ASKED)


def one(title: str) -> dict[str, object]:
    return {"labels": "{}", "value": 0 if title in EMPTY else 1}
