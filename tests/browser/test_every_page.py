"""Whatever page the console has: it opens to who may and refuses who may not, for every role; it can be read,
heard and used by keyboard; it weighs little. A new entry of the navigation is a new case here."""

import pytest
from playwright.sync_api import expect

from service.auth.permissions import EVERYBODY, GRANTS
from service.web.console.navigation import PAGES
from tests.browser.looks import LOOKS, PHONE, fallible, options_of
from tests.browser.test_weight import MOST, READY, SLOW, weighed
from tests.conftest import TOLD

ROLES = ("CFO", "AUDIT_HEAD", "AUDITOR", "AUDITEE", "GUEST")
HOME = "/console/"
SERIOUS = ("serious", "critical")
EVERY = pytest.mark.parametrize("way", PAGES, ids=lambda way: way.name.lower())
SHAPE = """() => ({
    lang: document.documentElement.lang,
    headings: [...document.querySelectorAll("h1")].filter((each) => each.checkVisibility()).length,
    mains: document.querySelectorAll("main").length,
    banners: document.querySelectorAll("body > header").length,
    ahead: document.querySelectorAll("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").length,
    twice: [...document.querySelectorAll("[id]")].map((each) => each.id)
        .filter((id, index, all) => all.indexOf(id) !== index),
    wide: document.documentElement.scrollWidth > innerWidth,
})"""
WHOLE = {
    "lang": "en",
    "headings": 1,
    "mains": 1,
    "banners": 1,
    "ahead": 0,
    "twice": [],
    "wide": False,
}
WITH_CHARTS = 150_000
"""A chart's numbers are also a table, a row for each moment, and more where more happened."""
PLACE = """() => {
    const all = [...document.querySelectorAll("*")], here = document.activeElement;
    return [all.indexOf(here), here === document.body, getComputedStyle(here).outlineStyle !== "none"
        || getComputedStyle(here).boxShadow !== "none" || here.matches("main")];
}"""


def open_to(role):
    return [way for way in PAGES if way.action in GRANTS.get(role, EVERYBODY)]


def somebody(role):
    return f"every-{role.lower().replace('_', '-')}"


def entries(page):
    """The addresses in the navigation."""
    links = page.get_by_role("navigation", name="Pages").get_by_role("link").all()
    return [each.get_attribute("href") for each in links]


@pytest.mark.parametrize("role", ROLES)
@EVERY
def test_a_page_opens_or_refuses_as_the_navigation_says(visiting, role, way):
    allowed = way in open_to(role)
    with visiting(somebody(role), role, expected=[] if allowed else [403]) as visit:
        page = visit.page
        answer = page.goto(way.path, wait_until="networkidle")
        assert answer.status == (200 if allowed else 403)
        assert entries(page) == [each.path for each in open_to(role)]
        if not allowed:
            expect(page.get_by_role("heading", level=1)).to_have_text("Not permitted")
            page.get_by_role("link", name="To the console").click()
            expect(page.get_by_role("heading", name="Console", level=1)).to_be_visible()
            return
        assert page.title().endswith(" · Parley")
        current = page.get_by_role("navigation", name="Pages").locator("[aria-current='page']")
        expect(current).to_have_text(way.name)
        shape = page.evaluate(SHAPE)
        # the chat has a side of its own, with a heading of its own
        assert shape | {"headings": 1 if shape["headings"] else 0} == WHOLE


@pytest.mark.parametrize(
    ("role", "look"),
    [("AUDIT_HEAD", look) for look in LOOKS]
    + [(role, "light-desk") for role in ROLES if role != "AUDIT_HEAD"]
    + [("AUDITEE", "dark-phone")],
)
def test_axe_finds_nothing_serious_on_any_page(visiting, role, look):
    with visiting(somebody(role), role, **options_of(look)) as visit:
        found = {}
        for path in (HOME, *(way.path for way in open_to(role))):
            visit.open(path)
            found[path] = [each for each in fallible(visit) if each.startswith(SERIOUS)]
        assert {path: each for path, each in found.items() if each} == {}


@EVERY
def test_on_a_phone_no_page_scrolls_sideways(visiting, way):
    with visiting(somebody("AUDIT_HEAD"), "AUDIT_HEAD", **PHONE) as visit:
        assert visit.open(way.path).evaluate(SHAPE)["wide"] is False


@EVERY
def test_tab_goes_through_a_page_in_its_order_and_is_seen(visiting, way):
    with visiting(somebody("AUDIT_HEAD"), "AUDIT_HEAD") as visit:
        page = visit.open(way.path)
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        if not skip.evaluate("(node) => node === document.activeElement"):
            skip.focus()  # a page that has the focus in itself goes on from there
        places = []
        for _ in range(40):
            place, over, seen = page.evaluate(PLACE)
            if over:
                break
            assert seen, page.evaluate("document.activeElement.outerHTML")
            places.append(place)
            page.keyboard.press("Tab")
        assert len(places) > 5
        assert places == sorted(places)
        skip.focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.closest('main') !== null")


@EVERY
def test_every_page_is_light_and_soon_of_use(visiting, record_property, way):
    with visiting(somebody("AUDIT_HEAD"), "AUDIT_HEAD") as visit:
        wire, came = weighed(visit)
        wire.send("Network.emulateNetworkConditions", SLOW)
        page = visit.open(way.path)
        weight = sum(came)
        assert 5_000 < weight < (WITH_CHARTS if way.path == "/console/operations" else MOST)
        told = f"{weight:,.0f} bytes, of use after {page.evaluate(READY):,.0f} ms at 150 ms and 1.6 Mbit/s"
        record_property(TOLD, f"console: {way.path} {told}")


@EVERY
def test_nobody_is_led_to_sign_in(visiting, way):
    with visiting(None, expected=[401]) as visit:
        page = visit.open(way.path)
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        assert page.get_by_role("navigation", name="Pages").count() == 0
