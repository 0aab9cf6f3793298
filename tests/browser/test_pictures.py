"""The pictures of README, of real runs: made anew with PARLEY_WRITE_PICTURES=1, and there in any case.

Refuses to compare them: fonts differ from machine to machine.
"""

import json
import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MANY
from tests.browser.test_audit import ask
from tests.harness import chat

HERE = Path(__file__).parent
WRITTEN = os.environ.get("PARLEY_WRITE_PICTURES") == "1"
SIZE = {"viewport": {"width": 1200, "height": 880}, "device_scale_factor": 1}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_chat(visiting, tmp_path, scheme, start_visited):
    service = start_visited(
        **MANY, AGENT_BUDGET_USER_DAY_USD="2", AGENT_TRACE_URL="http://127.0.0.1/{traceId}"
    )
    with visiting("ann", "CFO", service=service, color_scheme=scheme, **SIZE) as visit:
        page = visit.open()
        for earlier in ("What did the CFO team spend last week?", "Plan of the audit in March"):
            visit.ask(earlier)
            visit.answered()
            page.get_by_role("button", name="New conversation").click()
        page.get_by_label("Show thinking").check()
        visit.ask("What is (1249 + 86) * 12, and what time is it in Europe/Berlin?")
        visit.answered()
        page.get_by_role("button", name="Good answer").click()
        expect(page.get_by_label("Comment on the answer")).to_be_visible()
        name = f"chat-{scheme}.png"
        page.screenshot(path=(HERE if WRITTEN else tmp_path) / name)
        assert (HERE / name).stat().st_size > 20_000


MOST = 200_000
"""Bytes of a picture."""


def test_one_querys_life(visiting, tmp_path, start_visited):
    service = start_visited(
        **MANY, AGENT_BUDGET_USER_DAY_USD="2", AGENT_TRACE_URL="http://127.0.0.1/{traceId}"
    )
    with visiting("ann", "CFO", service=service, color_scheme="light", **SIZE) as visit:
        page = visit.open()
        visit.ask("What is (1249 + 86) * 12, and what time is it in Europe/Berlin? [sim:tools3][sim:slow:20]")
        visit.answered()
        page.get_by_role("link", name="Details").click()
        expect(page.locator(".waterfall .bar-of")).to_have_count(7)
        page.screenshot(path=(HERE if WRITTEN else tmp_path) / "query-light.png")
        assert 20_000 < (HERE / "query-light.png").stat().st_size < MOST


ASKED = (
    "Hello",
    "What is 12*7? [sim:tool]",
    "[sim:slow:20] Plan of the audit in March",
    "[sim:529] Hello",
    "",
)


def test_the_board(visiting, tmp_path, start_visited):
    service = start_visited(
        AGENT_RATE_LIMIT_ROLES="AUDITEE=60,CFO=100,GUEST=3",
        AGENT_BUDGET_USER_DAY_USD="2",
        AGENT_BUDGET_TOTAL_DAY_USD="0.2",
    )
    keys = {}
    for user, role in (("dana", "AUDITEE"), ("kim", "CFO"), ("guest", "GUEST")):
        made = service.cli("keys", "create", "--user", user, "--role", role, "--json")
        keys[user] = json.loads(made.stdout)["key"]
    for number in range(60):
        chat.ask(service, ASKED[number % len(ASKED)], key=keys[("dana", "kim", "dana", "guest")[number % 4]])
    with visiting("ann", "CFO", service=service, **SIZE) as visit:
        page = visit.open("/console/operations?period=15m")
        expect(page.locator("[data-chart='turns'] canvas")).to_be_visible()
        page.screenshot(path=(HERE if WRITTEN else tmp_path) / "operations-light.png")
        assert 20_000 < (HERE / "operations-light.png").stat().st_size < 200_000


def test_the_audit(visiting, tmp_path, start_visited):
    service = start_visited(**MANY)
    asked = {
        "ann": "What did the CFO team spend last week? [sim:tool]",
        "bob": "Which invoices of March are still open?",
        "carol": "Compare the first two quarters in one sentence, please [sim:529]",
        "dave": "What is (1249 + 86) * 12, and what time is it in Europe/Berlin? [sim:tools3]",
    }
    for user, message in [*asked.items()] * 3:
        ask(service, user, message)
    service.wait_for_rows(12)
    with visiting("head", "AUDIT_HEAD", service=service, color_scheme="light", **SIZE) as visit:
        page = visit.open("/console/audit")
        expect(page.locator(".events tbody tr")).to_have_count(12)
        page.screenshot(path=(HERE if WRITTEN else tmp_path) / "audit-light.png")
        assert 20_000 < (HERE / "audit-light.png").stat().st_size < MOST
