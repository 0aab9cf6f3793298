"""The board of operators in a real browser: who sees it, that it follows, and that everybody can read it."""

import hashlib
import tomllib
from pathlib import Path

import pytest
from playwright.sync_api import expect

from service.web import console
from tests.browser.test_access import PHONE, fallible, tab_to
from tests.harness.chat import ask
from tests.harness.sql import ask as ask_database
from tests.harness.waiting import wait

BOARD = "/console/operations"
STATIC = Path(console.__file__).parent / "static"
WIDE = "document.documentElement.scrollWidth > innerWidth"
HOSTILE = "<img src=x onerror=alert(1)>"


def total(page):
    return int(page.locator("[data-value='turns.total']").inner_text().replace(",", ""))


@pytest.mark.parametrize("role", ["CFO", "CXO_TEAM", "AUDIT_HEAD"])
def test_who_may_sees_the_board(visiting, role):
    with visiting("operates", role) as visit:
        page = visit.open("/console/")
        page.get_by_label("Pages", exact=True).get_by_role("link", name="Operations").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Operations")
        expect(page.locator("[data-chart='turns'] canvas")).to_be_visible()
        expect(page.locator("[data-rows='dependencies']")).to_contain_text("database")


@pytest.mark.parametrize("role", ["AUDITOR", "AUDITEE", "GUEST"])
def test_who_may_not_is_refused_and_not_led_there(visiting, role):
    with visiting("looks", role, expected=[403]) as visit:
        page = visit.open(BOARD)
        expect(page.locator(".notice.error")).to_contain_text("You don't have permission")
        expect(page.get_by_role("link", name="Operations")).to_have_count(0)


def test_the_board_follows_and_stands_still_when_told_to(visiting, lounge):
    with visiting("follows", "CFO") as visit:
        page = visit.open(f"{BOARD}?period=15m")
        before = total(page)
        ask(lounge, "Hello")
        expect(page.locator("[data-value='turns.total']")).not_to_have_text(f"{before:,}")
        assert total(page) > before
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
        visit.requests.clear()
        page.wait_for_timeout(12_000)  # it asks each ten seconds
        assert visit.requests == []
        page.get_by_role("button", name="Pause").click()
        wait(lambda: page.wait_for_timeout(100) or visit.requests)


def test_a_chart_has_all_its_numbers_as_a_table(visiting, lounge):
    ask(lounge, "Hello")
    with visiting("reads", "CFO") as visit:
        page = visit.open(f"{BOARD}?period=15m")
        expect(page.locator("[data-chart='turns'] .legend")).to_contain_text("answered")
        page.locator("#turns summary").click()
        table = page.locator("#turns details table")
        expect(table.locator("tbody tr")).to_have_count(60)
        numbers = [int(each) for each in table.locator("tbody td:nth-child(2)").all_inner_texts()]
        assert sum(numbers) == int(page.locator("#turns [data-rows] tbody tr").first.inner_text().split()[-1])


@pytest.mark.parametrize("period", ["15m", "1h", "24h", "7d"])
def test_every_period_adds_up(visiting, lounge, period):
    ask(lounge, "Hello")
    with visiting("adds", "CFO") as visit:
        # the row comes after the answer, and a snapshot that does not have it yet is shown for a while
        wait(lambda: total(visit.open(f"{BOARD}?period={period}")))
        page = visit.page
        rows = page.locator("#turns [data-rows] tbody tr td.number").all_inner_texts()
        assert sum(int(each.replace(",", "")) for each in rows) == total(page) > 0


@pytest.mark.parametrize("look", ["light-desk", "light-phone", "dark-desk", "dark-phone"])
def test_axe_finds_nothing(visiting, lounge, look):
    ask(lounge, "[sim:500] x")
    scheme, size = look.split("-")
    options = {"color_scheme": scheme, "bypass_csp": True, **(PHONE if size == "phone" else {})}
    with visiting(f"axe-{look}", "CFO", **options) as visit:
        page = visit.open(f"{BOARD}?period=15m")
        expect(page.locator("[data-chart='errors'] canvas")).to_be_visible()
        for summary in page.locator(".chart summary").all():
            summary.click()
        assert fallible(visit) == []
        assert page.evaluate(WIDE) is False


def test_by_keyboard_alone(visiting):
    with visiting("types", "CFO") as visit:
        page = visit.open(BOARD)
        tab_to(page, "15 minutes")
        page.keyboard.press("Enter")
        page.wait_for_url("**/operations?period=15m")
        tab_to(page, "Pause")
        page.keyboard.press("Space")
        expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
        tab_to(page, "All numbers of “Turns by outcome”")
        page.keyboard.press("Enter")
        expect(page.locator("#turns details table")).to_be_visible()


def test_without_a_script_there_are_the_numbers_of_the_moment(visiting, lounge):
    ask(lounge, "Hello")
    with visiting("plain", "CFO", java_script_enabled=False) as visit:
        page = visit.open(BOARD)
        expect(page.locator("[data-value='turns.total']")).not_to_have_text("0")
        expect(page.locator("#turns [data-rows]")).to_contain_text("answered")
        expect(page.locator(".chart").first).to_be_hidden()


def test_a_hostile_name_is_text(visiting, start_visited):
    service = start_visited()
    ask(service, "Hello")
    service.wait_for_rows(1)
    ask_database(f"sqlite:///{service.cwd}/var/parley.db", "UPDATE audit_subject SET user_id = ?", HOSTILE)
    with visiting("safe", "CFO", service=service) as visit:
        page = visit.open(f"{BOARD}?period=15m")
        expect(page.locator("[data-rows='cost.byUser']")).to_contain_text(HOSTILE)
        assert page.locator("main img").count() == 0


def test_what_is_not_well_is_said_first_and_leads_there(visiting, start_visited):
    service = start_visited()
    assert ask(service, "[sim:500] x").status_code == 500
    with visiting("night", "CFO", service=service) as visit:
        page = visit.open(BOARD)
        status = page.get_by_label("Status", exact=True)
        expect(status).to_contain_text("not well")
        status.get_by_role("link", name="model is degraded").click()
        expect(page.locator("#dependencies")).to_be_in_viewport()


def test_a_service_that_is_gone_is_said(visiting, start_visited):
    service = start_visited()
    with visiting("alone", "CFO", service=service) as visit:
        page = visit.open(f"{BOARD}?period=15m")
        visit.away = True
        service.kill()
        expect(page.locator("#trouble")).to_contain_text("Network error.")
        expect(page.locator("[data-rows='dependencies']")).to_contain_text("database")


def test_what_others_wrote_is_what_their_packages_have():
    folder = STATIC / "vendor"
    listed = tomllib.loads((folder / "vendor.toml").read_text())
    files = {name: digest for each in listed.values() for name, digest in each["files"].items()}
    assert all({"version", "licence", "source"} <= set(each) for each in listed.values())
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(files) == found - {"vendor.toml"}
    for name, digest in files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_one_module_alone_imports_what_draws():
    importing = [path.name for path in STATIC.glob("*.js") if "vendor/" in path.read_text()]
    assert importing == ["plot.js"]
