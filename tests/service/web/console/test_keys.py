"""The page of keys: made once and shown once, whatever is sent again; revoked after a yes; who may not."""

import json
import logging
import re

import pytest

from service.errors import Unauthenticated
from service.web.console.keys import PATH, SHOWN
from tests.service.web.console.conftest import words_of

KEY = r"parley_[0-9a-f]{16}_[0-9a-f]{64}"


async def wish(rooms, head):
    """The wish that the form of a page has."""
    (found,) = re.findall(r'name="wish" value="([0-9a-f]{32})"', (await rooms.get(PATH, head)).text)
    return found


async def make(rooms, head, **fields):
    given = {"user": "kim", "role": "AUDITOR", "expires": "90d", "wish": await wish(rooms, head)} | fields
    return await rooms.post(PATH, head, **given)


async def test_a_key_is_made_shown_once_and_lets_in(rooms, head, caplog):
    caplog.set_level(logging.DEBUG)
    page = await make(rooms, head, scope="audit:content")
    assert (page.status_code, page.headers["cache-control"]) == (201, "no-store")
    assert page.history == []
    (key,) = re.findall(KEY, page.text)
    caller = await rooms.keys.identify(key)
    assert (caller.user_id, caller.role, caller.scopes) == ("kim", "AUDITOR", ("audit:content",))
    listed = await rooms.get(PATH, head)
    assert caller.credential_id in listed.text
    assert not re.search(KEY, listed.text)
    (row,) = rooms.noted
    assert (row.action, row.entity_id, row.actor_id) == ("MADE", caller.credential_id, "head")
    kept = json.dumps([row.metadata, caplog.text, str(page.headers)])
    assert key[-64:] not in kept


async def test_the_same_form_again_makes_no_second_key_and_shows_none(rooms, head):
    fields = {"user": "kim", "role": "CFO", "expires": "", "wish": await wish(rooms, head)}
    assert (await rooms.post(PATH, head, **fields)).status_code == 201
    again = await rooms.post(PATH, head, **fields)
    assert again.status_code == 409
    assert "shown to nobody again" in words_of(again)
    assert not re.search(KEY, again.text)
    assert len(await rooms.database.keys.list()) == len(rooms.noted) == 1
    assert (await make(rooms, head)).status_code == 201


async def test_a_wish_of_one_person_is_not_anothers_and_chooses_no_id(rooms, head):
    other = await rooms.signed_in("other", "AUDIT_HEAD")
    fields = {"user": "kim", "role": "CFO", "expires": "1d", "wish": "0" * 32}
    assert [(await rooms.post(PATH, who, **fields)).status_code for who in (head, other)] == [201, 201]
    ids = [key.id for key in await rooms.database.keys.list()]
    assert len(set(ids)) == 2
    assert "0" * 16 not in ids


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"user": "a b"}, "A name without blanks"),
        ({"user": ""}, "A name without blanks"),
        ({"role": "cfo"}, "Capital letters"),
        ({"scope": "audit:erase"}, "Not a scope"),
        ({"expires": "90"}, "A number and d, h or m"),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_lost(rooms, head, fields, words):
    page = await make(rooms, head, **fields)
    assert page.status_code == 400
    assert words in words_of(page)
    kept = {"user": "kim", "role": "AUDITOR"} | fields
    assert f'name="user" value="{kept["user"]}"' in page.text
    assert f'name="role" value="{kept["role"]}"' in page.text
    assert await rooms.database.keys.list() == []
    assert rooms.noted == []


@pytest.mark.parametrize("fields", [{"wish": ""}, {"wish": "mine"}, {"key": "mine"}])
async def test_another_form_than_the_pages_is_refused(rooms, head, fields):
    assert (await make(rooms, head, **fields)).status_code == 400
    assert await rooms.database.keys.list() == []


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
async def test_no_other_kind_of_body_is_a_form(rooms, head, kind):
    page = await rooms.client.post(PATH, headers=head | {"content-type": kind}, content=b"user=kim&role=CFO")
    assert page.status_code == 415


async def test_a_form_of_no_text_is_refused(rooms, head):
    kind = {"content-type": "application/x-www-form-urlencoded"}
    for body in (b"user=\xff", b"user=%ff", b"&".join(b"a=%d" % number for number in range(101))):
        assert (await rooms.client.post(PATH, headers=head | kind, content=body)).status_code == 400


async def test_a_key_is_revoked_after_a_yes(rooms, head):
    (key,) = re.findall(KEY, (await make(rooms, head)).text)
    name = (await rooms.keys.identify(key)).credential_id
    asked = await rooms.get(f"{PATH}/{name}/revoke", head)
    assert "Revoke this key?" in words_of(asked)
    assert (await rooms.keys.identify(key)).user_id == "kim"
    done = await rooms.post(f"{PATH}/{name}/revoke", head)
    assert (done.status_code, done.headers["location"]) == (303, f"{PATH}?revoked={name}")
    with pytest.raises(Unauthenticated):
        await rooms.keys.identify(key)
    page = await rooms.get(done.headers["location"], head)
    assert f"The key {name} is revoked" in words_of(page)
    assert f"{PATH}/{name}/revoke" not in page.text
    assert rooms.noted[-1].action == "REVOKED"
    for again in (
        await rooms.get(f"{PATH}/{name}/revoke", head),
        await rooms.post(f"{PATH}/{name}/revoke", head),
    ):
        assert again.status_code == 404


async def test_a_link_cannot_say_that_a_key_was_revoked(rooms, head):
    await make(rooms, head)
    (key,) = await rooms.database.keys.list()
    assert "is revoked" not in words_of(await rooms.get(f"{PATH}?revoked={key.id}", head))
    assert "is revoked" not in words_of(await rooms.get(f"{PATH}?revoked=all+of+them", head))


async def test_the_list_is_filtered_and_bounded(rooms, head):
    assert "No key was made yet" in words_of(await rooms.get(PATH, head))
    for number in range(SHOWN + 1):
        await make(rooms, head, user=f"user-{number}", wish=f"{number:032x}")
    words = words_of(await rooms.get(PATH, head))
    assert f"{SHOWN} of {SHOWN + 1} keys; the filter finds the others." in words
    assert "user-0 " not in words
    found = words_of(await rooms.get(f"{PATH}?q=USER-0+auditor&status=active", head))
    assert "user-0 AUDITOR" in found
    assert "No key is like that" in words_of(await rooms.get(f"{PATH}?status=revoked", head))


@pytest.mark.parametrize("role", ["CFO", "AUDITOR", "AUDITEE", "GUEST"])
async def test_who_may_not_is_refused_and_not_led_there(rooms, role):
    ann = await rooms.signed_in("ann", role)
    for path in (PATH, f"{PATH}/0123456789abcdef/revoke"):
        assert (await rooms.get(path, ann)).status_code == 403
        assert (await rooms.post(path, ann)).status_code == 403
        assert (await rooms.get(path)).status_code == 401
    assert f'href="{PATH}"' not in (await rooms.get("/console/", ann)).text


async def test_another_site_makes_and_revokes_nothing(rooms, head):
    (key,) = re.findall(KEY, (await make(rooms, head)).text)
    foreign = head | {"sec-fetch-site": "cross-site"}
    fields = {"user": "eve", "role": "AUDIT_HEAD", "expires": "", "wish": "1" * 32}
    assert (await rooms.post(PATH, foreign, **fields)).status_code == 403
    assert (await rooms.post(f"{PATH}/{key[7:23]}/revoke", foreign)).status_code == 403
    assert len(await rooms.database.keys.list()) == 1
    assert (await rooms.keys.identify(key)).user_id == "kim"


async def test_names_are_text(rooms, head):
    page = await make(rooms, head, user="<script>x</script>")
    assert page.status_code == 201
    assert "<script>x" not in page.text
    assert "<script>x" not in (await rooms.get(PATH, head)).text
