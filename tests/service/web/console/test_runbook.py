"""The runbook's page: every section of RUNBOOK.md, by the anchor that alerts name."""

import re

import pytest

from service.web.console.runbook import sections
from telemetry.alerts.groups import GROUPS
from telemetry.alerts.runbook import as_markdown
from tests.service.web.console.looking import looking, words

MARKDOWN = as_markdown(GROUPS)


@pytest.fixture
async def page(tmp_path):
    async with looking(f"sqlite:///{tmp_path}/parley.db") as looked:
        answer = await looked.get("/console/runbook")
        assert answer.status_code == 200
        yield answer.text


async def test_it_has_the_sections_of_the_file_in_their_order(page):
    named = re.findall(r"^## (\w+)$", MARKDOWN, re.MULTILINE)
    assert [each.name for each in sections()] == named
    assert re.findall(r'<h2 id="(\w+)"', page) == [each.lower() for each in named]
    assert re.findall(r'<a href="#(\w+)"', page) == [each.lower() for each in named]


async def test_it_says_what_the_file_says(page):
    said = words(page).replace("&gt;", ">").replace("&#34;", '"').replace("&#39;", "'").replace("&lt;", "<")
    told = " ".join(re.sub(r"\*\*.*?\*\*|`", " ", MARKDOWN.split("## UnknownSpike")[1]).split())
    for sentence in ("a fault in the program", "If it began with a rollout, roll back; then give"):
        assert sentence in told
        assert sentence in said


async def test_code_stands_out_and_nothing_is_markup(page):
    assert "<code>/health/ready</code> names which." in page
    assert "`" not in re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL)
