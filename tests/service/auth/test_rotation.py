"""After the root secret rotated, what was made under the one before holds, and nothing of any other."""

import pytest

from config import Secret
from service.auth.derive import Derived
from service.auth.keys import KeyDoor, make_key
from service.auth.sessions import Sessions
from service.errors import Unauthenticated
from tests.service.auth.test_keys import Held, Kept
from tests.service.auth.test_sessions import NOW, Ended

OLD, NEW, OTHER = (Secret(letter * 32) for letter in "abc")


def clock():
    return NOW * 1_000_000


def key_door(derived, made):
    held = Held(id=made.id, digest=made.digest)
    return KeyDoor(Kept(held), derived.peppers, str, clock)


def sessions(derived):
    return Sessions(derived.sessions, Ended(), clock)


@pytest.mark.parametrize("maker", [OLD, NEW], ids=["old", "new"])
async def test_keys_and_sessions_of_both_hold(maker):
    after, before = Derived(NEW, OLD), Derived(maker)
    made = make_key(before.pepper)
    assert (await key_door(after, made).identify(made.key)).user_id == "ann"
    token = sessions(before)
    claims = await sessions(after).read(await token.open(token.invite("ann", "CFO")))
    assert claims.sub == "ann"


@pytest.mark.parametrize("after", [Derived(NEW), Derived(NEW, OTHER)], ids=["none", "other"])
async def test_once_the_earlier_root_is_taken_away_they_do_not(after):
    before = Derived(OLD)
    made, opened = make_key(before.pepper), sessions(before)
    token = await opened.open(opened.invite("ann", "CFO"))
    with pytest.raises(Unauthenticated):
        await key_door(after, made).identify(made.key)
    with pytest.raises(Unauthenticated):
        await sessions(after).read(token)


async def test_what_is_made_now_is_made_under_the_new_root():
    after = Derived(NEW, OLD)
    opened = sessions(after)
    token = await opened.open(opened.invite("ann", "CFO"))
    assert (await sessions(Derived(NEW)).read(token)).sub == "ann"
    assert after.pepper == Derived(NEW).pepper


async def test_who_holds_the_keys_has_those_of_the_roots_that_hold_now():
    derived = Derived(OLD)
    made, opened = make_key(derived.pepper), sessions(derived)
    door, token = key_door(derived, made), await opened.open(opened.invite("ann", "CFO"))
    derived.rotate(NEW, OLD)
    assert (await door.identify(made.key)).user_id == "ann"
    assert (await opened.read(token)).sub == "ann"
    assert derived.pepper == Derived(NEW).pepper
    later = await opened.open(opened.invite("ben", "CFO"))
    assert (await sessions(Derived(NEW)).read(later)).sub == "ben"
    derived.rotate(NEW, None)
    with pytest.raises(Unauthenticated):
        await door.identify(made.key)
    with pytest.raises(Unauthenticated):
        await opened.read(token)
    assert (await opened.read(later)).sub == "ben"


async def test_whoever_was_let_in_before_has_the_new_pseudonym():
    derived = Derived(OLD)
    made = make_key(derived.pepper)
    door = KeyDoor(Kept(Held(id=made.id, digest=made.digest)), derived.peppers, derived.pseudonym, clock)
    before = await door.identify(made.key)
    derived.rotate(NEW, OLD)
    door.rotated()
    after = await door.identify(made.key)
    assert after.pseudonym == Derived(NEW).pseudonym("ann") != before.pseudonym


def test_the_end_of_all_of_a_users_is_found_after_a_rotation():
    derived = Derived(OLD)
    (before,) = derived.subjects("ann")
    derived.rotate(NEW, OLD)
    assert before in derived.subjects("ann")
    assert derived.subjects("ann")[0] != before
    assert derived.subjects("ben") != derived.subjects("ann")
