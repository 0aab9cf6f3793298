"""Calls that need a yes, in a real browser: who is asked, what is shown of a call, what becomes of it."""

import json
from contextlib import ExitStack

import pytest
from playwright.sync_api import expect

from tests.browser.visit import ISSUING
from tests.harness.chat import stream
from tests.harness.paying import install, paid
from tests.harness.service import Service


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def paying(folder, tmp_path_factory):
    """A service with tools that need a yes: `transfer` anybody's of their own, `payout` a CFO's."""
    with ExitStack() as started:
        settings = ISSUING | install(folder, "transfer,payout")
        yield started.enter_context(Service(tmp_path_factory.mktemp("paying"), settings))


def test_a_call_is_shown_as_text_and_run_once_it_was_approved(visiting, paying, folder):
    before = len(paid(folder))
    with visiting("payer", service=paying) as visit:
        page = visit.open()
        visit.ask("[sim:tool] transfer please")
        card = page.get_by_role("region", name="Approval of transfer")
        expect(card).to_contain_text("May transfer be run?")
        assert set(json.loads(card.locator("pre").inner_text())) == {"amount", "to"}
        expect(card.locator(".left")).to_contain_text("s left")
        assert len(paid(folder)) == before
        card.get_by_role("button", name="Approve").press("Enter")
        visit.answered()
        expect(card).to_contain_text("Approved.")
        expect(page.locator(".step.finished code")).to_have_text("transfer")
        assert len(paid(folder)) == before + 1


def test_a_call_that_was_denied_is_not_run(visiting, paying, folder):
    before = len(paid(folder))
    with visiting("denier", service=paying) as visit:
        page = visit.open()
        visit.ask("[sim:tool] transfer please")
        page.get_by_role("button", name="Deny").click()
        visit.answered()
        expect(page.locator(".step.denied")).to_contain_text("not run")
        assert len(paid(folder)) == before


def test_who_may_not_decide_is_told_so_and_who_may_finds_the_call_at_the_side(visiting, paying):
    with visiting("asker", service=paying) as asker, visiting("chief", "CFO", service=paying) as chief:
        asked = asker.open()
        asker.ask("[sim:tool] payout please")
        card = asked.get_by_role("region", name="Approval of payout")
        expect(card).to_contain_text("Somebody who may approve this has to say yes.")
        expect(card.get_by_role("button")).to_have_count(0)
        decided = chief.open()
        waiting = decided.locator("#waiting").get_by_role("region", name="Approval of payout")
        expect(waiting).to_contain_text("Asked for asker.")
        waiting.get_by_role("button", name="Approve").click()
        expect(waiting).to_contain_text("Approved.")
        asker.answered()
        expect(card).to_contain_text("Approved.")


def test_what_waits_for_a_program_is_found_at_the_side_too(visiting, paying):
    with stream(paying, "[sim:tool] payout please") as answer:
        answer.until("approval")
        with visiting("chief", "CFO", service=paying) as visit:
            page = visit.open()
            expect(page.locator("#waiting")).to_contain_text("Asked for dev.")
            page.locator("#waiting").get_by_role("button", name="Deny").click()
            expect(page.locator("#waiting")).to_contain_text("Denied.")
        assert [each.data["status"] for each in answer if each.event == "tool"] == ["denied"]
