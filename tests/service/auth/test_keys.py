"""API keys: one form, one digest, one refusal for everything that is wrong."""

import hashlib
import hmac
import re

import pytest
from msgspec import Struct, structs

from service.auth.keys import FORM, REASON, KeyDoor, digest_of, make_key
from service.auth.verified import Verified
from service.errors import DatabaseError, Unauthenticated
from telemetry.record import Caller

PEPPER = b"p" * 32
NOW = 1_764_000_000_000_000
MADE = make_key(PEPPER)


class Held(Struct, frozen=True, kw_only=True):
    id: str = MADE.id
    user_id: str = "ann"
    role: str = "AUDITOR"
    scopes: tuple[str, ...] = ("audit:content",)
    digest: str = MADE.digest
    expires_at: int | None = None
    revoked_at: int | None = None


class Kept:
    """Keys in a dict; `asked` are the ids that were looked for."""

    def __init__(self, *held):
        self._held, self.asked = {each.id: each for each in held}, []

    async def find(self, key_id):
        self.asked.append(key_id)
        return self._held.get(key_id)


def door(*held, now=NOW):
    return KeyDoor(Kept(*held), (PEPPER,), lambda user: f"pseudo-{user}", lambda: now)


async def refusal(key, *held, now=NOW):
    with pytest.raises(Unauthenticated) as raised:
        await door(*held, now=now).identify(key)
    return raised.value.detail


def test_a_key_has_one_form_and_256_random_bits():
    keys = {make_key(PEPPER).key for _ in range(200)}
    assert len(keys) == 200
    assert all(re.fullmatch(r"parley_[0-9a-f]{16}_[0-9a-f]{64}", key, re.ASCII) for key in keys)
    assert FORM.fullmatch(MADE.key)["id"] == MADE.id


def test_the_digest_is_an_hmac_under_the_pepper_and_not_the_key():
    expected = hmac.new(PEPPER, MADE.key.encode(), hashlib.sha256).hexdigest()
    assert MADE.digest == digest_of(MADE.key, PEPPER) == expected
    assert digest_of(MADE.key, b"q" * 32) != expected
    assert MADE.key.rpartition("_")[2] not in MADE.digest


async def test_a_key_that_holds_names_its_caller():
    caller = await door(Held()).identify(MADE.key)
    assert caller == Caller(
        user_id="ann",
        role="AUDITOR",
        method="api_key",
        credential_id=MADE.id,
        pseudonym="pseudo-ann",
        scopes=("audit:content",),
    )


def wrong_secret():
    last = "0" if MADE.key[-1] != "0" else "1"
    return MADE.key[:-1] + last


OTHER = make_key(PEPPER)
WRONG = {
    "unknown": (OTHER.key, ()),
    "wrong secret": (wrong_secret(), (Held(),)),
    "another key's secret": (MADE.key[:24] + OTHER.key[24:], (Held(),)),
    "another pepper": (MADE.key, (Held(digest=digest_of(MADE.key, b"q" * 32)),)),
    "revoked": (MADE.key, (Held(revoked_at=1),)),
    "revoked later than now": (MADE.key, (Held(revoked_at=NOW + 10),)),
    "expired": (MADE.key, (Held(expires_at=NOW - 1),)),
    "expiring this very moment": (MADE.key, (Held(expires_at=NOW),)),
    "no key's form": ("secret", (Held(),)),
    "capitals": (MADE.key.upper(), (Held(),)),
    "too short": (MADE.key[:-1], (Held(),)),
    "too long": (MADE.key + "0", (Held(),)),
    "a line break at the end": (MADE.key + "\n0", (Held(),)),
    "two": (f"{MADE.key},{MADE.key}", (Held(),)),
    "10 kB": ("x" * 10_240, (Held(),)),
    "a digest of nothing": (MADE.key, (Held(digest=""),)),
    "the digest itself": (MADE.digest, (Held(),)),
    "SQL": ("parley_' OR 1=1 --", (Held(),)),
}


@pytest.mark.parametrize(("key", "held"), WRONG.values(), ids=WRONG)
async def test_everything_that_is_wrong_is_refused_in_the_same_words(key, held):
    assert await refusal(key, *held) == REASON


async def test_a_key_holds_until_it_expires():
    held = Held(expires_at=NOW + 1)
    assert (await door(held).identify(MADE.key)).user_id == "ann"
    assert await refusal(MADE.key, held, now=NOW + 1) == REASON


async def test_what_has_no_keys_form_is_never_looked_for():
    guarded = door(Held())
    with pytest.raises(Unauthenticated):
        await guarded.identify("parley_x")
    assert guarded._keys.asked == []


@pytest.mark.parametrize("key", [key for key, _ in WRONG.values()], ids=WRONG.keys())
async def test_no_refusal_repeats_what_was_sent(key):
    said = await refusal(key)
    assert MADE.key not in said
    assert OTHER.key not in said


async def test_a_store_that_cannot_look_is_no_wrong_key():
    class Away:
        async def find(self, key_id):
            raise DatabaseError(f"away {key_id[:0]}")

    with pytest.raises(DatabaseError):
        await KeyDoor(Away(), (PEPPER,), str, lambda: NOW).identify(MADE.key)


async def test_scopes_are_a_tuple_whatever_the_store_gives():
    held = structs.replace(Held(), scopes=[])
    assert (await door(held).identify(MADE.key)).scopes == ()


class Leaving(Kept):
    """Keys in a store that may be away."""

    away = False

    async def find(self, key_id):
        if self.away:
            raise DatabaseError("away")
        return await super().find(key_id)


class Remembering:
    """A door that remembers for an hour, its store, and a clock that stands."""

    def __init__(self, *held):
        self.now, self.keys = NOW, Leaving(*held)
        clock = lambda: self.now  # noqa: E731 - a clock in a line
        self.door = KeyDoor(self.keys, (PEPPER,), str, clock, Verified(clock, 3_600_000))

    async def is_let_in(self, key=MADE.key):
        try:
            return (await self.door.identify(key)).stale
        except (DatabaseError, Unauthenticated) as error:
            return type(error)


async def test_a_key_that_held_lets_its_caller_in_while_nobody_can_look():
    house = Remembering(Held())
    assert await house.is_let_in() is False
    house.keys.away = True
    assert await house.is_let_in() is True
    asked = house.door._verified.recall(MADE.digest)
    assert asked.user_id == "ann"
    house.now += 3_600_000_000
    assert await house.is_let_in() is DatabaseError


@pytest.mark.parametrize("key", [wrong_secret(), OTHER.key], ids=["wrong secret", "another"])
async def test_a_key_that_was_never_seen_to_hold_is_the_databases_error(key):
    house = Remembering(Held())
    assert await house.is_let_in() is False
    assert await house.is_let_in(key) is Unauthenticated
    house.keys.away = True
    assert await house.is_let_in(key) is DatabaseError


async def test_a_key_that_expires_meanwhile_is_refused():
    house = Remembering(Held(expires_at=NOW + 10))
    await house.is_let_in()
    house.keys.away = True
    house.now += 9
    assert await house.is_let_in() is True
    house.now += 1
    assert await house.is_let_in() is Unauthenticated


async def test_a_revocation_that_was_seen_counts_at_once():
    house = Remembering(Held())
    await house.is_let_in()
    house.keys._held[MADE.id] = Held(revoked_at=1)
    assert await house.is_let_in() is Unauthenticated
    house.keys.away = True
    assert await house.is_let_in() is DatabaseError


async def test_the_keys_of_a_user_who_was_erased_are_forgotten():
    house = Remembering(Held())
    await house.is_let_in()
    house.keys.away = True
    house.door.forget("bob")
    assert await house.is_let_in() is True
    house.door.forget("ann")
    assert await house.is_let_in() is DatabaseError


async def test_what_a_key_is_kept_with_now_counts_though_it_was_seen_before():
    kept = Kept(Held())
    asked = KeyDoor(kept, (PEPPER,), lambda user: f"pseudo-{user}", lambda: NOW)
    assert await asked.identify(MADE.key) is await asked.identify(MADE.key)
    kept._held[MADE.id] = Held(role="GUEST", user_id="bob")
    changed = await asked.identify(MADE.key)
    assert (changed.role, changed.user_id, changed.pseudonym) == ("GUEST", "bob", "pseudo-bob")
    kept._held[MADE.id] = Held(revoked_at=NOW - 1)
    with pytest.raises(Unauthenticated):
        await asked.identify(MADE.key)
