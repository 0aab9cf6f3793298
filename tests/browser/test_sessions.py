"""Sessions in real browsers: the way to them, and that signing out everywhere is seen by another one."""

from playwright.sync_api import expect

PATH = "/console/sessions"
EXPIRED = "Your session has expired."


def let_in(visit, path=PATH):
    """Use the one link that a service prints."""
    visit.page.goto(visit.service.console)
    return visit.open(path)


def copied(visit, other):
    """The same session in another browser."""
    other.context.add_cookies(visit.context.cookies())
    return other.open(PATH)


def test_the_name_leads_to_ones_sessions_and_signing_out_everywhere_is_seen_elsewhere(
    visiting, start_visited
):
    service = start_visited()
    with (
        visiting(None, service=service) as visit,
        visiting(None, service=service, expected=[401]) as other,
    ):
        page = let_in(visit, "/console/")
        page.get_by_role("link", name="dev-auditor").click()
        expect(page.get_by_role("heading", name="Where you are signed in")).to_be_visible()
        expect(page.locator("tbody tr")).to_have_count(1)
        expect(page.locator("tbody")).to_contain_text("this one")
        assert page.locator("tbody time").first.get_attribute("title").endswith(" UTC")
        elsewhere = copied(visit, other)
        expect(elsewhere.get_by_role("heading", name="Where you are signed in")).to_be_visible()
        page.get_by_role("link", name="Sign out everywhere").click()
        page.get_by_role("link", name="Leave it").click()
        page.get_by_role("link", name="Sign out everywhere").click()
        page.get_by_role("button", name="Sign out everywhere").click()
        expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
        assert visit.context.cookies() == []
        elsewhere.reload()
        expect(elsewhere.get_by_text(EXPIRED)).to_be_visible()
