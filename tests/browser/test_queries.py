"""One query's life in a real browser: how it ended, for whom, by keyboard alone, on every screen."""

import time

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MANY
from tests.browser.test_access import PHONE, fallible, tab_to
from tests.harness.waiting import PATIENCE

LIST = "/console/queries"
STRANGERS = ("AUDITEE", "GUEST", "CFO")
ALL_ROLES = (*STRANGERS, "AUDITOR", "AUDIT_HEAD")
WIDE = "document.documentElement.scrollWidth > innerWidth"
NO_SUCH = "There is no query of that id, or it is not yours."


def details(visit):
    """Follow the latest turn's link to its page, once its row is written."""
    path = visit.page.get_by_role("link", name="Details").last.get_attribute("href")
    opened(visit, path)
    return path


def opened(visit, path):
    """Open a query's page; its row is written a moment after its end."""
    end = time.monotonic() + PATIENCE
    while visit.page.goto(path, wait_until="networkidle").status != 200 and time.monotonic() < end:
        time.sleep(0.2)


def asked(visiting, user, message="What is 12*7? [sim:tools3]", **more):
    """A query that was answered, by somebody who has left: its path."""
    with visiting(user, **more) as visit:
        visit.open()
        visit.ask(message)
        visit.answered()
        return details(visit)


def test_an_answer_with_tools_has_every_step_and_figure(visiting):
    with visiting("follows") as visit:
        page = visit.open()
        visit.ask("What is 12*7, and what time is it? [sim:tools3]")
        visit.answered()
        cost = page.locator(".figures dt:text-is('Cost') + dd").inner_text()
        path = details(visit)
        expect(page.get_by_role("heading", level=1)).to_contain_text("answered")
        steps = [each.split()[0] for each in page.locator(".waterfall .step").all_inner_texts()]
        assert steps == ["POST", "invoke_agent", "chat", *["execute_tool"] * 3, "chat"]
        assert cost.strip("$") in page.locator(".summary").inner_text()
        expect(page.locator(".call pre").first).to_contain_text('"expression": "12*7"')
        expect(page.locator(".line")).to_contain_text('"type": "agent_query_completed"')
        link = page.locator("dt:text-is('Trace') + dd a")
        expect(link).to_have_attribute("href", f"http://jaeger.invalid/trace/{trace(page)}")
        page.get_by_role("link", name="Your queries").click()
        page.locator(".list a").first.click()
        assert page.url.endswith(path)


def test_bars_are_drawn_in_their_lane_and_in_their_order(visiting):
    path = asked(visiting, "draws")
    with visiting("draws") as visit:
        page = visit.open(path)
        bars = [each.bounding_box() for each in page.locator(".waterfall .bar-of").all()]
        lane = page.locator(".lane").first.bounding_box()
        begins, ends = [each["x"] for each in bars], [each["x"] + each["width"] for each in bars]
        assert len(bars) == 7
        assert min(begins) >= lane["x"] - 1
        assert max(ends) <= lane["x"] + lane["width"] + 1
        # the model was asked the second time after the first answer and the tools
        assert ends[2] <= begins[3] + 4
        assert max(begins[3:6]) <= begins[6] + 4
        assert page.locator(".lane .mark").count() == 2


def trace(page):
    return page.locator("dt:text-is('Trace') + dd").inner_text()


def test_a_failure_has_its_attempts_and_leads_to_the_runbook(visiting):
    with visiting("fails", expected=[500]) as visit:
        page = visit.open()
        visit.ask("[sim:529] No")
        page.locator(".notice.error").wait_for()
        details(visit)
        expect(page.locator(".notice.error")).to_contain_text("AI service error.")
        expect(page.locator(".lane.attempt")).to_have_count(3)
        expect(page.locator(".lane.wait")).to_have_count(2)
        expect(page.locator(".line")).to_contain_text('"type": "agent_query_failed"')
        page.get_by_role("link", name="Runbook: AgentServiceSpike").click()
        expect(page.get_by_role("heading", name="AgentServiceSpike")).to_be_in_viewport()


@pytest.fixture
def strict(start_visited):
    """A service that seals what is asked, gives a turn two seconds, and a guest one question."""
    settings = {"AGENT_AUDIT_CONTENT": "sealed", "AGENT_TURN_TIMEOUT_MS": "2000"}
    return start_visited(**{**MANY, **settings, "AGENT_RATE_LIMIT_ROLES": "GUEST=1,AUDIT_HEAD=9,AUDITOR=9"})


def test_refused_timed_out_and_sealed(visiting, strict):
    with visiting("waits", "GUEST", service=strict, expected=[429, 503, 504]) as visit:
        page = visit.open()
        visit.ask("[sim:stall] Never")
        page.locator(".notice.error").wait_for()
        path = details(visit)
        expect(page.get_by_role("heading", level=1)).to_contain_text("timed out")
        expect(page.locator("pre.question")).to_have_text("[sim:stall] Never")
        page.goto("/console/chat", wait_until="networkidle")
        visit.ask("Once more")
        page.locator(".countdown").wait_for()
        details(visit)
        expect(page.get_by_role("heading", level=1)).to_contain_text("refused rate_limited")
        expect(page.locator("main")).to_contain_text("You can send up to 1 requests per minute.")
        expect(page.locator("main")).to_contain_text("The model was not asked.")
    with visiting("looks", "AUDITOR", service=strict) as visit:
        visit.open(path)
        expect(visit.page.locator("main")).to_contain_text("Sealed: it is kept encrypted.")
        assert "Never" not in visit.page.content()


def test_a_client_that_left_is_told_as_that(visiting):
    with visiting("leaves", expected=[404]) as visit:
        page = visit.open()
        visit.ask("Slowly [sim:slow:300]")
        expect(page.locator(".prose").last).to_contain_text("a")
        page.keyboard.press("Escape")
        expect(page.locator(".notice")).to_contain_text("Stopped.")
        details(visit)
        expect(page.get_by_role("heading", level=1)).to_contain_text("client gone")


@pytest.mark.parametrize("role", ALL_ROLES)
def test_each_role_sees_its_own_and_of_others_what_it_may(visiting, role):
    path = asked(visiting, f"asks-before-{role.lower().replace('_', '-')}", "Whose is this?")
    stranger = role in STRANGERS
    with visiting(f"looks-as-{role.lower().replace('_', '-')}", role, expected=[404]) as visit:
        page = visit.open(LIST)
        expect(page.get_by_role("heading", name="No queries yet")).to_be_visible()
        expect(page.locator(".ways a[aria-current]")).to_have_text("Queries")
        page.goto(path, wait_until="networkidle")
        expect(page.locator("main")).to_contain_text(NO_SUCH if stranger else "Steps")
        assert ("Whose is this?" in page.content()) is (role == "AUDIT_HEAD")
        expect(page.get_by_text("Masked: you may see")).to_have_count(1 if role == "AUDITOR" else 0)
        never = page.goto(f"{LIST}/01900000-0000-7000-8000-000000000000")
        assert never.status == 404
        expect(page.locator("main")).to_contain_text(NO_SUCH)


def test_what_was_erased_is_gone_from_its_page(visiting):
    path = asked(visiting, "forget-me", "A secret")
    with visiting("forgets", "AUDIT_HEAD") as visit:
        page = visit.open(path)
        expect(page.locator("pre.question")).to_have_text("A secret")
        erase = """async () => (await fetch("/api/v1/audit/erasures", {
            method: "POST", headers: {"content-type": "application/json"},
            body: JSON.stringify({subject: "forget-me", confirm: "forget-me"}),
        })).status"""
        assert page.evaluate(erase) == 200
        page.reload(wait_until="networkidle")
        expect(page.locator("main")).to_contain_text("Erased at its owner's wish.")
        assert "A secret" not in page.content()
        assert "forget-me" not in page.content()


def test_a_query_is_found_and_read_by_keyboard_alone(visiting):
    path = asked(visiting, "types")
    with visiting("types") as visit:
        page = visit.open(LIST)
        tab_to(page, "What is 12*7? [sim:tools3]")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{path}")
        found = trace(page)
        page.get_by_role("link", name="Your queries").focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{LIST}")
        for given in (found, path.rsplit("/", 1)[1]):
            page.get_by_label("Turn, trace or request id").focus()
            page.keyboard.type(given)
            page.keyboard.press("Enter")
            page.wait_for_url(f"**{path}")
            page.go_back()
        page.goto(path)
        tab_to(page, "Log line")


@pytest.mark.parametrize("look", ["light-desk", "light-phone", "dark-desk", "dark-phone"])
def test_axe_finds_nothing_and_nothing_is_cut_off(visiting, look):
    scheme, size = look.split("-")
    options = {"color_scheme": scheme, "bypass_csp": True, **(PHONE if size == "phone" else {})}
    with visiting(f"sees-{look}", expected=[404, 500], **options) as visit:
        page = visit.open(LIST)
        assert fallible(visit) == []
        paths = []
        for message in ("What is 12*7? [sim:tools3] " + "W" * 200, "[sim:529] No"):
            page.goto("/console/chat", wait_until="networkidle")
            visit.ask(message)
            page.locator(".figures").wait_for()
            paths.append(details(visit))
        for path in (*paths, LIST, "/console/runbook", f"{LIST}/none"):
            page.goto(path, wait_until="networkidle")
            assert fallible(visit) == [], path
            assert page.evaluate(WIDE) is False, path


def test_without_scripts_all_of_it_is_there(visiting):
    path = asked(visiting, "plain")
    with visiting("plain", java_script_enabled=False) as visit:
        page = visit.open(path)
        expect(page.locator(".waterfall .bar-of")).to_have_count(7)
        assert "UTC" in page.locator(".summary time").inner_text()
        page.get_by_role("link", name="Your queries").click()
        page.get_by_label("Turn, trace or request id").fill(path.rsplit("/", 1)[1])
        page.get_by_role("button", name="Find").click()
        assert page.url.endswith(path)
