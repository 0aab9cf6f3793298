"""Making and revoking a key in a real browser: shown once, copied, not in the history, not made again."""

import re

import httpx
import pytest
from playwright.sync_api import expect

KEY = r"parley_[0-9a-f]{16}_[0-9a-f]{64}"
PATH = "/console/keys"


def fill(page, user, role="AUDITOR"):
    page.get_by_label("User", exact=True).fill(user)
    page.get_by_label("Role", exact=True).fill(role)
    page.get_by_role("button", name="Make key").click()
    expect(page.get_by_role("heading", name="The key is made")).to_be_visible()
    return page.locator("#key").inner_text()


def who(service, key):
    """The status of what a key is answered."""
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(f"{service.url}/api/v1/limits", headers=headers, trust_env=False).status_code


def test_a_key_is_made_copied_used_and_revoked(visiting, lounge):
    with visiting("head-makes", "AUDIT_HEAD", permissions=["clipboard-read", "clipboard-write"]) as visit:
        page = visit.open(PATH)
        key = fill(page, "kim")
        assert re.fullmatch(KEY, key)
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_text("Copied.")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == key
        assert who(lounge, key) == 200
        page.get_by_role("link", name="I have it").click()
        row = page.get_by_role("row", name=re.compile(key[7:23]))
        expect(row).to_contain_text("active")
        row.get_by_role("link", name="Revoke").click()
        page.get_by_role("link", name="Leave it").click()
        assert who(lounge, key) == 200
        row.get_by_role("link", name="Revoke").click()
        page.get_by_role("button", name="Revoke").click()
        expect(page.get_by_role("status").first).to_contain_text("is revoked")
        expect(row).to_contain_text("revoked")
        assert who(lounge, key) == 401


def test_the_text_of_a_key_is_in_no_history_and_a_reload_makes_none(visiting, lounge):
    with visiting("head-reloads", "AUDIT_HEAD", expected=[409]) as visit:
        page = visit.open(PATH)
        key = fill(page, "lee")
        assert page.url == f"{lounge.url}{PATH}"
        made = page.locator("tbody tr", has_text="lee")
        page.reload()
        expect(page.get_by_text("This form was sent before.")).to_be_visible()
        assert key not in page.content()
        page.goto(PATH)
        expect(made).to_have_count(1)
        page.go_back()
        assert key not in page.content()
        page.goto(PATH)
        expect(made).to_have_count(1)
        assert key[-64:] not in str([*visit.requests, page.evaluate("JSON.stringify(history.state)")])
        stored = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        assert key[-64:] not in page.evaluate(stored)


def test_a_browser_that_lets_nobody_copy_selects_it(visiting):
    with visiting("head-selects", "AUDIT_HEAD") as visit:
        visit.page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
        page = visit.open(PATH)
        key = fill(page, "mia")
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_text("press Ctrl+C")).to_be_visible()
        assert page.evaluate("getSelection().toString()").strip() == key


def test_what_is_wrong_is_said_beside_its_field(visiting):
    with visiting("head-errs", "AUDIT_HEAD", expected=[400]) as visit:
        page = visit.open(PATH)
        page.get_by_label("User", exact=True).fill("no blanks")
        page.get_by_label("Role", exact=True).fill("AUDITOR")
        page.get_by_role("button", name="Make key").click()
        box = page.get_by_label("User", exact=True)
        expect(box).to_have_attribute("aria-invalid", "true")
        expect(box).to_have_accessible_description(re.compile("without blanks"))
        expect(page.get_by_label("Role", exact=True)).to_have_value("AUDITOR")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_all_of_it_is_done_by_keyboard_and_without_script(visiting, script):
    with visiting(f"head-types-{script}", "AUDIT_HEAD", java_script_enabled=script) as visit:
        page = visit.open(PATH)
        page.get_by_label("User", exact=True).focus()
        page.keyboard.type(f"typed-{script}")
        page.keyboard.press("Tab")
        page.keyboard.type("GUEST")
        page.keyboard.press("Escape")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="The key is made")).to_be_visible()
        assert re.fullmatch(KEY, page.locator("#key").inner_text())
        assert page.get_by_role("button", name="Copy").count() == int(script)
        link = page.get_by_role("link", name="I have it")
        for _ in range(20):
            page.keyboard.press("Tab")
            if link.evaluate("(node) => node === document.activeElement"):
                break
        page.keyboard.press("Enter")
        expect(page.locator("tbody tr", has_text=f"typed-{script}")).to_have_count(1)
