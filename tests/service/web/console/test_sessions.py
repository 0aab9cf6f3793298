"""The page of sessions: one's own, one's end, everywhere; others' for who may."""

import re

import pytest

from service.auth.credentials import Credentials
from service.errors import Unauthenticated
from service.web.console.sessions import END, END_ALL, PATH
from tests.service.web.console.conftest import words_of


async def ids(rooms, user):
    return [each.id for each in await rooms.database.sessions.list(user, 0)]


async def goes_on(rooms, cookie):
    try:
        await rooms.door.identify(Credentials(cookie=cookie["cookie"]))
    except Unauthenticated:
        return False
    return True


async def test_ones_own_are_listed_and_the_one_that_asks_is_marked(rooms):
    first, second = await rooms.signed_in("ann"), await rooms.signed_in("ann")
    await rooms.signed_in("ben")
    words = words_of(await rooms.get(PATH, second))
    assert words.count("sign-in provider") == 2
    assert words.count("this one") == 1
    assert words == words_of(await rooms.get(f"{PATH}?user=ann", second))
    assert "Sessions of somebody else" not in words
    assert await goes_on(rooms, first)


async def test_another_session_is_ended_and_this_one_goes_on(rooms):
    first, second = await rooms.signed_in("ann"), await rooms.signed_in("ann")
    (other,) = set(await ids(rooms, "ann")) - {
        (await rooms.door.identify(Credentials(cookie=second["cookie"]))).credential_id
    }
    done = await rooms.post(END, second, id=other)
    assert (done.status_code, done.headers["location"]) == (303, f"{PATH}?ended=one")
    assert "The session is ended." in words_of(await rooms.get(done.headers["location"], second))
    assert (await goes_on(rooms, first), await goes_on(rooms, second)) == (False, True)
    assert rooms.noted[-1].action == "ENDED"


async def test_who_ends_his_own_session_is_signed_out(rooms):
    ann = await rooms.signed_in("ann")
    (own,) = await ids(rooms, "ann")
    page = await rooms.post(END, ann, id=own)
    assert page.status_code == 200
    assert "You are signed out" in words_of(page)
    assert "Max-Age=0" in page.headers["set-cookie"]
    assert not await goes_on(rooms, ann)


async def test_logout_everywhere_asks_and_ends_all(rooms):
    ann, also, ben = [await rooms.signed_in(user) for user in ("ann", "ann", "ben")]
    assert "Sign out everywhere? 2 sessions end in every browser" in words_of(await rooms.get(END_ALL, ann))
    assert await goes_on(rooms, also)
    page = await rooms.post(END_ALL, ann, user="ann")
    assert "All your sessions are ended" in words_of(page)
    assert "Max-Age=0" in page.headers["set-cookie"]
    assert [await goes_on(rooms, who) for who in (ann, also, ben)] == [False, False, True]


async def test_others_are_listed_and_ended_by_who_may_see_keys(rooms, head):
    ben = await rooms.signed_in("ben")
    page = words_of(await rooms.get(f"{PATH}?user=ben", head))
    assert page.startswith("Where ben is signed in")
    assert "this one" not in page
    assert "End all sessions of ben? One session ends" in words_of(
        await rooms.get(f"{END_ALL}?user=ben", head)
    )
    done = await rooms.post(END_ALL, head, user="ben")
    assert (done.status_code, done.headers["location"]) == (303, f"{PATH}?user=ben&ended=all")
    assert "set-cookie" not in done.headers
    assert (await goes_on(rooms, ben), await goes_on(rooms, head)) == (False, True)
    words = words_of(await rooms.get(done.headers["location"], head))
    assert "All sessions of ben are ended. " in words
    assert "No session goes on" in words


@pytest.mark.parametrize("role", ["CFO", "AUDITOR", "AUDITEE", "GUEST"])
async def test_others_are_nobodys_business_else(rooms, role):
    ann, ben = await rooms.signed_in("ann", role), await rooms.signed_in("ben")
    (bens,) = await ids(rooms, "ben")
    assert (await rooms.get(f"{PATH}?user=ben", ann)).status_code == 403
    assert (await rooms.get(f"{END_ALL}?user=ben", ann)).status_code == 403
    assert (await rooms.post(END_ALL, ann, user="ben")).status_code == 403
    assert (await rooms.post(END, ann, id=bens)).status_code == 404
    assert (await rooms.post(END, ann, id="0" * 32)).status_code == 404
    assert await goes_on(rooms, ben)


async def test_another_site_ends_nothing(rooms):
    ann = await rooms.signed_in("ann")
    (own,) = await ids(rooms, "ann")
    foreign = ann | {"origin": "https://evil.example"}
    assert (await rooms.post(END, foreign, id=own)).status_code == 403
    assert (await rooms.post(END_ALL, foreign)).status_code == 403
    assert await goes_on(rooms, ann)


async def test_names_are_text(rooms, head):
    name = "<script>x</script>&'\""
    await rooms.signed_in(name)
    page = await rooms.get(PATH, head, params={"user": name})
    assert "<script>x" not in page.text
    (link,) = re.findall(r'href="(/console/sessions/end-all\?[^"]+)"', page.text)
    asked = await rooms.get(link, head)
    assert "<script>x" not in asked.text
    assert "One session ends" in words_of(asked)
