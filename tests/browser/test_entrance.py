"""In and out, in a real browser: the link, the cookie, another site's link, the roles, the colours."""

import httpx
import pytest
from playwright.sync_api import expect

EXPIRED = "Your session has expired. Please refresh the page and log in again."


def test_the_printed_link_signs_in_once_and_the_button_signs_out(visiting, start_visited):
    service = start_visited()
    with visiting(None, service=service, expected=[401]) as visit:
        page = visit.open()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        expect(page.get_by_text(EXPIRED)).to_be_visible()
        page.goto(service.console)
        assert page.url == f"{service.url}/console/chat"
        expect(page.locator(".who")).to_contain_text("dev-auditor")
        (cookie,) = visit.context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("session", True, "Strict")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
        assert visit.context.cookies() == []
        page.go_back(wait_until="networkidle")
        expect(page.get_by_text(EXPIRED)).to_be_visible()
        page.goto(service.console)
        expect(page.get_by_text("The sign-in code is unknown, used or expired.")).to_be_visible()
        assert visit.context.cookies() == []


def test_a_link_of_another_site_leads_in(visiting, start_visited):
    service = start_visited()
    with visiting(None, service=service, expected=[401]) as visit:
        page = visit.open()
        page.goto(service.console)
        # the same machine by another name is another site to a browser
        elsewhere = service.url.replace("127.0.0.1", "localhost")
        page.goto(f"{elsewhere}/schema")
        page.evaluate("(url) => { location.href = url }", f"{service.url}/console/chat")
        expect(page.locator(".who")).to_contain_text("dev-auditor")
        expect(page.get_by_label("Your question")).to_be_visible()
        visit.requests[:] = [each for each in visit.requests if not each.startswith(elsewhere)]


@pytest.mark.parametrize("role", ["GUEST", "AUDITEE", "AUDITOR", "CFO", "AUDIT_HEAD"])
def test_each_role_is_led_to_what_it_may_and_can_ask(visiting, lounge, role):
    with visiting(f"some-{role.lower().replace('_', '-')}", role) as visit:
        page = visit.open("/console/")
        expect(page.locator(".who .role")).to_have_text(role)
        expect(page.get_by_role("complementary", name="Simulator")).to_contain_text("simulator")
        for link in page.locator("main a").all():
            path = link.get_attribute("href")
            cookie = visit.context.cookies()[0]["value"]
            answer = httpx.get(
                f"{lounge.url}{path}", headers={"cookie": f"session={cookie}"}, trust_env=False
            )
            assert answer.status_code == 200, path
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Chat").click()
        expect(page.get_by_label("Your question")).to_be_focused()
        visit.ask("Hello")
        visit.answered()


def test_what_is_not_there_is_a_page_that_leads_back(visiting):
    with visiting("lost", expected=[404]) as visit:
        page = visit.open("/console/nowhere")
        expect(page.get_by_text("There is nothing at this address.")).to_be_visible()
        page.get_by_role("link", name="To the console").click()
        expect(page.get_by_role("heading", name="Console")).to_be_visible()


def ground(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_the_colours_are_the_systems_until_somebody_chooses(visiting):
    with visiting("chooses-colours", color_scheme="light") as visit:
        page = visit.open()
        light = ground(page)
        page.emulate_media(color_scheme="dark")
        dark = ground(page)
        assert light != dark
        page.get_by_label("Colours").select_option("light")
        assert ground(page) == light
        page.reload()
        assert ground(page) == light
        page.get_by_label("Colours").select_option("")
        assert ground(page) == dark
