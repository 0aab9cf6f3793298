"""For everybody: by keyboard alone, on a phone, by a screen reader, in light and dark."""

import pytest
from playwright.sync_api import expect

from tests.browser.looks import LOOKS, PHONE, fallible, options_of

HEARD = """() => {
    window.heard = [];
    const said = document.getElementById("said");
    const watch = new MutationObserver(() => heard.push(said.textContent));
    watch.observe(said, {childList: true, characterData: true, subtree: true});
}"""


@pytest.fixture(params=LOOKS)
def looked_at(request, visiting):
    """A visit in these colours on this screen, whose page axe may look into."""
    with visiting(f"axe-{request.param}", expected=[401, 404, 429], **options_of(request.param)) as visit:
        yield visit


def test_axe_finds_nothing_in_a_talk(looked_at):
    page = looked_at.open()
    assert fallible(looked_at) == []
    page.get_by_label("Show thinking").check()
    looked_at.ask("What is 12*7? [sim:tools3]")
    looked_at.answered()
    page.get_by_role("button", name="Good answer").click()
    looked_at.ask("[sim:429-after:4] No")
    page.locator(".countdown").wait_for()
    page.locator("#standing summary").click()
    assert fallible(looked_at) == []
    page.get_by_role("button", name="Delete").click()
    assert fallible(looked_at) == []


def test_axe_finds_nothing_at_the_side_and_on_other_pages(looked_at):
    page = looked_at.open()
    side = page.get_by_role("button", name="Conversations")
    if side.is_visible():
        side.click()
    assert fallible(looked_at) == []
    for path in ("/console/", "/console/nowhere"):
        looked_at.open(path)
        assert fallible(looked_at) == []
    looked_at.context.clear_cookies()
    looked_at.open()
    assert fallible(looked_at) == []


def tab_to(page, name, most=60):
    """Press Tab until what has this name has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        focused = "document.activeElement.getAttribute('aria-label') || document.activeElement.innerText"
        if page.evaluate(focused).strip() == name:
            return
    raise AssertionError(f"no way to {name}")


def focused(page):
    return page.evaluate("document.activeElement.id")


def test_all_of_a_talk_is_done_by_keyboard(visiting):
    with visiting("keys") as visit:
        page = visit.open()
        assert focused(page) == "message"
        page.keyboard.type("First line")
        page.keyboard.press("Shift+Enter")
        page.keyboard.type("second line")
        page.keyboard.press("Enter")
        visit.answered()
        assert page.locator(".question p").inner_text() == "First line\nsecond line"
        assert focused(page) == "message"
        page.keyboard.type("Slowly [sim:slow:200]")
        page.keyboard.press("Enter")
        expect(page.locator(".prose").last).to_contain_text("a")
        page.keyboard.press("Escape")
        expect(page.locator(".notice")).to_contain_text("Stopped.")
        assert focused(page) == "message"
        tab_to(page, "Good answer")
        page.keyboard.press("Space")
        expect(page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")


def test_a_conversation_is_deleted_by_keyboard_and_the_focus_is_never_lost(visiting):
    with visiting("keys-too") as visit:
        page = visit.open()
        visit.ask("Hello")
        visit.answered()
        tab_to(page, "Delete")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        assert focused(page) == "delete"
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        tab_to(page, "Delete", 4)
        page.keyboard.press("Enter")
        expect(page.get_by_text("None yet")).to_be_visible()
        assert focused(page) == "message"


def test_the_first_tab_skips_to_the_content(visiting):
    with visiting("skips") as visit:
        page = visit.open("/console/")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        assert focused(page) == "content"


def test_a_screen_reader_hears_the_answer_once_and_whole(visiting):
    with visiting("listens") as visit:
        page = visit.open()
        page.evaluate(HEARD)
        visit.ask("What is 12*7? [sim:tool][sim:slow:40]")
        visit.answered()
        heard = page.evaluate("heard")
        assert heard[:2] == ["Waiting for the answer.", "calculate: done."]
        assert heard[2].startswith("Answer: calculate returned 84.")
        assert len(heard) == 3


def test_on_a_phone_nothing_is_cut_off_and_everything_is_there(visiting):
    with visiting("phone", **PHONE) as visit:
        page = visit.open()
        visit.ask("What is 12*7? [sim:tool] " + "W" * 200)
        visit.answered()
        wide = "document.documentElement.scrollWidth > innerWidth"
        assert page.evaluate(wide) is False
        for name in ("Send", "Conversations", "Rename", "Delete", "Sign out"):
            expect(page.get_by_role("button", name=name)).to_be_in_viewport()
        page.get_by_role("button", name="Conversations").click()
        expect(page.get_by_role("button", name="New conversation")).to_be_visible()
        expect(page.get_by_label("Your question")).to_be_hidden()
        page.locator(".conversations a").click()
        expect(page.get_by_label("Your question")).to_be_visible()
        page.get_by_role("button", name="Conversations").click()
        page.get_by_role("button", name="New conversation").click()
        expect(page.get_by_text("What would you like to know?")).to_be_visible()


AGAIN = """async () => {
    const files = performance.getEntriesByType("resource").map(each => each.name);
    const { confirmed } = await import(files.find(name => /\\/dialog[^/]*\\.js$/.test(name)));
    const first = confirmed("First?", "", "Yes");
    document.getElementById("dialog").close();
    const second = confirmed("Second?", "", "Yes");
    // a close is told in a frame of its own
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))));
    document.querySelector("#dialog form").requestSubmit();
    return [await first, await second];
}"""


def test_a_dialog_that_was_closed_does_not_answer_for_the_one_that_is_open(visiting):
    with visiting("again") as visit:
        assert visit.open().evaluate(AGAIN) == [False, True]
