"""Signing in at a provider of OpenID Connect that others wrote, with a browser: in, out, everywhere."""

import pytest
from playwright.sync_api import expect

from service.web.console.oidc import CALLBACK
from tests.browser.conftest import Visiting
from tests.browser.looks import fallible, options_of
from tests.harness.openid import OpenId
from tests.harness.ports import claim
from tests.harness.service import Service

PEOPLE = {"ann": {"role": "AUDITOR"}, "nobody": {}}


@pytest.fixture(scope="module")
def signing(tmp_path_factory):
    """A service whose people sign in at the provider."""
    port = claim()
    site = {"AGENT_PORT": str(port), "AGENT_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    folder = tmp_path_factory.mktemp("signing")
    with (
        OpenId(f"http://127.0.0.1:{port}{CALLBACK}", PEOPLE) as provider,
        Service(folder, provider.settings | site) as service,
    ):
        yield service, provider


@pytest.fixture
def come(visiting: Visiting, signing):
    """Make a visit of nobody; what the provider's pages, and no others, ask elsewhere is not let out."""
    service, provider = signing

    def visit(**options):
        made = visiting(None, service=service, expected=[401, 403, 503], **options)

        def only(route):
            if route.request.url.startswith((service.url, provider.issuer)):
                route.continue_()
            else:
                assert route.request.frame.url.startswith(provider.issuer)
                route.fulfill(status=200, content_type="text/css", body="")

        made.context.route("**/*", only)
        return made

    return visit


def at_provider(visit, name, provider):
    """Say who one is, and yes."""
    page = visit.page
    page.wait_for_url(f"{provider.issuer}/**")
    if page.locator("input[name=login]").count():
        page.locator("input[name=login]").fill(name)
        page.locator("input[name=password]").fill("any")
        page.locator("button[type=submit]").click()
    page.locator("button[type=submit]").click()
    page.wait_for_url(f"{visit.service.url}/console/**")


def leave(visit):
    """What the provider's pages asked and said is not the console's."""
    ours = (f"{visit.service.url}/",)
    visit.requests[:] = [each for each in visit.requests if each.startswith(ours)]
    visit.said.clear()


def sign_in(visit, name, provider):
    visit.open("/console/sessions")
    visit.page.get_by_role("link", name="Sign in", exact=True).click()
    at_provider(visit, name, provider)
    leave(visit)


def test_a_person_signs_in_and_out_everywhere_and_another_browser_sees_it(come, signing):
    _, provider = signing
    with come() as visit, come() as other:
        for each in (visit, other):
            sign_in(each, "ann", provider)
            expect(each.page.locator(".who")).to_contain_text("ann")
        page = visit.open("/console/sessions")
        expect(page.locator("tbody tr")).to_have_count(2)
        expect(page.locator("tbody")).to_contain_text("sign-in provider")
        elsewhere = other.open("/console/sessions")
        page.get_by_role("link", name="Sign out everywhere").click()
        page.get_by_role("button", name="Sign out everywhere").click()
        expect(page.get_by_text("All your sessions are ended")).to_be_visible()
        elsewhere.reload()
        expect(elsewhere.get_by_role("heading", level=1)).to_have_text("Sign in")
        page.get_by_role("link", name="Sign in again").click()
        expect(page.locator(".who")).to_contain_text("ann")
        leave(visit)


def test_one_session_is_ended_from_another(come, signing):
    _, provider = signing
    with come() as visit, come() as other:
        sign_in(visit, "ann", provider)
        sign_in(other, "ann", provider)
        page = visit.open("/console/sessions")
        rows = page.locator("tbody tr").filter(has_not_text="this one")
        before = rows.count()
        rows.first.get_by_role("button", name="End").click()
        expect(page.get_by_text("The session is ended.")).to_be_visible()
        expect(rows).to_have_count(before - 1)
        expect(other.open("/console/").get_by_role("heading", level=1)).to_have_text("Sign in")


def test_who_has_no_role_is_told_and_led_on(come, signing):
    _, provider = signing
    with come(**options_of("light-phone")) as visit:
        visit.open("/console/")
        visit.page.get_by_role("link", name="Sign in", exact=True).click()
        at_provider(visit, "nobody", provider)
        leave(visit)
        page = visit.page
        expect(page.get_by_role("heading", level=1)).to_have_text("You are not let in")
        expect(page.get_by_text("gives you no role that counts here")).to_be_visible()
        expect(page.get_by_role("link", name="Sign in again")).to_be_visible()
        assert fallible(visit) == []


def test_a_provider_that_is_away_is_said_and_may_be_tried_again(visiting, start_service):
    port = claim()
    site = {"AGENT_PORT": str(port), "AGENT_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    away = {"AGENT_OIDC_ISSUER": f"http://127.0.0.1:{claim()}", "AGENT_OIDC_CLIENT_ID": "parley"}
    service = start_service(**site, **away)
    with visiting(None, service=service, expected=[401, 503], **options_of("dark-desk")) as visit:
        page = visit.open("/console/")
        page.get_by_role("link", name="Sign in", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("The sign-in provider cannot be reached")
        assert fallible(visit) == []
        page.get_by_role("link", name="Try again").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("The sign-in provider cannot be reached")
        visit.open("/console/oidc/callback?state=x&code=y")
        expect(page.get_by_role("heading", level=1)).to_have_text("The sign-in did not finish")
