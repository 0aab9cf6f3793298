"""The page of settings: what holds, from where, until when; the filter; the table of roles; no secret."""

import re

import pytest

from config import load
from config.secret import MASK
from config.settings import Settings
from config.variable import walk
from service.app.reload import CHANGING, change
from service.auth.permissions import Action
from service.web.console.settings import ABOUT, PATH
from tests.service.web.console.conftest import ENVIRON, words_of

NAMES = [place.variable.name for place in walk(Settings())]
SHOWN = r'<li id="([A-Z_]+)">'


async def test_every_setting_stands_there_once_with_its_origin_and_meaning(rooms, head):
    page = await rooms.get(PATH, head)
    assert page.status_code == 200
    assert re.findall(SHOWN, page.text) == NAMES
    words = words_of(page)
    assert "AGENT_PORT env 1 default 3005 " in words
    for place in walk(Settings()):
        assert place.variable.why in words, place.variable.name
    assert f"{len(NAMES)} of {len(NAMES)} settings." in words


async def test_secrets_are_masks(rooms, head):
    page = await rooms.get(PATH, head)
    assert "k" * 40 not in page.text
    assert "pass-word" not in page.text
    assert f"AGENT_SECRET_KEY env {MASK}" in words_of(page)


async def test_what_needs_a_restart_is_what_a_reload_leaves_alone(rooms, head):
    page = await rooms.get(PATH, head)
    parts = re.split(SHOWN, page.text)[1:]
    live = {
        name for name, text in zip(parts[::2], parts[1::2], strict=True) if "Read again on SIGHUP" in text
    }
    assert live == CHANGING
    now = load({}, None).settings
    read = load(
        {"AGENT_RATE_LIMIT_REQUESTS": "7", "AGENT_RATE_LIMIT_ON_LOSS": "strict", "AGENT_PORT": "9"}, None
    ).settings
    told = change(now, read)
    assert set(told.values) <= live
    assert set(told.restart) == {"AGENT_RATE_LIMIT_ON_LOSS", "AGENT_PORT"}
    assert not set(told.restart) & live


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=rate_limit+MILLI+seconds", ["AGENT_RATE_LIMIT_WINDOW_MS"]),
        ("q=3005", ["AGENT_PORT"]),
        ("origin=set", list(ENVIRON)),
        ("origin=env&q=_port", ["AGENT_PORT"]),
        ("origin=.env", []),
        ("q=" + "k" * 40, []),
    ],
)
async def test_the_filter_is_an_address(rooms, head, query, found):
    page = await rooms.get(f"{PATH}?{query}", head)
    shown = re.findall(SHOWN, page.text)
    assert sorted(shown) == sorted(found)
    if not found:
        assert "No setting is like that" in words_of(page)


async def test_the_table_of_roles_says_what_each_may(rooms, head):
    words = words_of(await rooms.get(PATH, head))
    assert "AUDITOR 30 chat own records audit export verify audit:content audit with content" in words
    assert "* 20 chat own records" in words
    assert "Requests per minute" in words


def test_every_action_has_a_name_for_people():
    assert set(ABOUT) == set(Action)


@pytest.mark.parametrize("role", ["CFO", "AUDITOR", "AUDITEE", "GUEST"])
async def test_who_may_not_is_refused_and_not_led_there(rooms, role):
    ann = await rooms.signed_in("ann", role)
    assert (await rooms.get(PATH, ann)).status_code == 403
    assert f'href="{PATH}"' not in (await rooms.get("/console/", ann)).text


async def test_what_is_typed_is_text(rooms, head):
    page = await rooms.get(PATH, head, params={"q": '"><script>x</script>'})
    assert "<script>x" not in page.text
    assert (await rooms.get(f"{PATH}?nothing=1", head)).status_code == 400
