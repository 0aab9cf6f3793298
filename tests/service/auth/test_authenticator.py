"""The one door: which credential counts, by whom it is read, and what it makes of the caller."""

import time

import pytest

from service.auth.authenticator import Authenticator
from service.auth.credentials import NEEDED, Credentials
from service.auth.keys import REASON, KeyDoor, make_key
from service.auth.sessions import ENDED, KID, MICROSECONDS, Sessions
from service.auth.tokens import LEEWAY, UNTRUSTED, sign
from service.auth.trust import token_door
from service.auth.verified import Verified
from service.errors import CrossSite, DatabaseError, Unauthenticated
from service.store.keys import StoredKey
from telemetry.record import Caller
from telemetry.recorder import microseconds
from tests.service.auth.mint import SECRET, Mint
from tests.service.auth.test_sessions import Ended
from tests.service.auth.test_trust import settings_of

PEPPER, SESSION_KEY = b"p" * 32, b"s" * 32
MADE = make_key(PEPPER)
MINT = Mint("ES256", "k1")
HELD = StoredKey(id=MADE.id, user_id="keyed", role="AUDITEE", scopes=(), digest=MADE.digest, created_at=1)
FOREIGN = {"sec_fetch_site": "cross-site"}


class Kept:
    """The one key there is."""

    async def find(self, key_id):
        return HELD if key_id == HELD.id else None


class Doors:
    """An authenticator and what it stands on."""

    def __init__(self, mint=MINT, verified=None):
        self.ended = Ended()
        self.sessions = Sessions((SESSION_KEY,), self.ended, microseconds, verified)
        keys = KeyDoor(Kept(), (PEPPER,), pseudonym, microseconds)
        tokens = token_door(settings_of(mint), microseconds) if mint else None
        self.door = Authenticator(keys, tokens, self.sessions, pseudonym)

    async def of(self, **given):
        return await self.door.identify(Credentials(**given))

    async def refusal(self, kind=Unauthenticated, **given):
        with pytest.raises(kind) as raised:
            await self.of(**given)
        return raised.value.detail

    async def session(self, user="dev-auditor", role="AUDIT_HEAD"):
        return await self.sessions.open(self.sessions.invite(user, role))


def pseudonym(user):
    return f"pseudo-{user}"


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def cookie(token):
    return {"cookie": f"session={token}"}


@pytest.fixture
def doors():
    return Doors()


async def test_a_key_names_its_user(doors):
    caller = await doors.of(**bearer(MADE.key))
    assert (caller.user_id, caller.role, caller.method, caller.credential_id) == (
        "keyed",
        "AUDITEE",
        "api_key",
        MADE.id,
    )


@pytest.mark.parametrize("carry", [bearer, cookie])
async def test_a_token_of_the_issuer_names_its_user(doors, carry):
    token = MINT.token(sub="ann", role="AUDITOR", scope="openid audit:content email")
    caller = await doors.of(**carry(token))
    assert caller == Caller(
        user_id="ann",
        role="AUDITOR",
        method="jwt",
        credential_id=caller.credential_id,
        pseudonym="pseudo-ann",
        scopes=("audit:content",),
    )
    assert len(caller.credential_id) == 32
    assert caller.credential_id not in token
    assert (await doors.of(**carry(MINT.token(sub="bob")))).credential_id != caller.credential_id


async def test_a_token_is_called_by_what_is_signed_and_not_by_its_signature(doors):
    message = MINT.token().rpartition(".")[0]
    again = Mint("ES256", "k1", MINT.key)
    claims = again.claims()
    one, two = (again.token(claims) for _ in range(2))
    assert one != two
    assert one.startswith(message[:20])
    named = [(await doors.of(**bearer(token))).credential_id for token in (one, two)]
    assert named[0] == named[1]


async def test_a_session_names_its_user_by_cookie_only(doors):
    token = await doors.session()
    caller = await doors.of(**cookie(token))
    assert (caller.user_id, caller.role, caller.method) == ("dev-auditor", "AUDIT_HEAD", "session")
    assert caller.credential_id == (await doors.sessions.read(token)).jti
    assert await doors.refusal(**bearer(token)) == UNTRUSTED


async def test_nothing_at_all_says_what_is_needed(doors):
    assert await doors.refusal() == NEEDED
    assert await doors.refusal(cookie="theme=dark") == NEEDED
    assert await doors.refusal(authorization="Basic x") == NEEDED


async def test_without_an_issuer_no_token_is_taken():
    doors = Doors(mint=None)
    assert await doors.refusal(**bearer(MINT.token())) == REASON
    assert await doors.refusal(**cookie(MINT.token())) == NEEDED
    assert (await doors.of(**cookie(await doors.session()))).role == "AUDIT_HEAD"
    assert (await doors.of(**bearer(MADE.key))).user_id == "keyed"


async def test_a_key_is_not_taken_from_a_cookie(doors):
    assert await doors.refusal(**cookie(MADE.key)) == UNTRUSTED


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
async def test_an_issuer_cannot_make_sessions_of_ours(algorithm):
    mint = Mint(algorithm, KID)
    doors = Doors(mint)
    assert await doors.refusal(**cookie(mint.token(role="AUDIT_HEAD"))) == UNTRUSTED
    assert (await doors.of(**bearer(mint.token()))).method == "jwt"


async def test_a_session_of_ours_is_no_token_of_an_issuer_that_shares_its_name():
    mint = Mint("HS256")
    doors = Doors(mint)
    claims = mint.claims(role="AUDIT_HEAD")
    assert await doors.refusal(**bearer(sign(claims, SESSION_KEY, KID))) == UNTRUSTED
    assert await doors.refusal(**cookie(sign(claims, SECRET.encode(), KID))) == UNTRUSTED
    assert await doors.refusal(**cookie(sign(claims, SESSION_KEY, "other"))) == UNTRUSTED


async def test_the_header_counts_where_both_came(doors):
    both = bearer(MADE.key) | cookie(await doors.session())
    assert (await doors.of(**both)).user_id == "keyed"
    assert (await doors.of(**both, **FOREIGN)).user_id == "keyed"
    for wrong in ("", "Bearer", "Basic x", "Bearer nobody"):
        assert await doors.refusal(**cookie(await doors.session()), authorization=wrong)


@pytest.mark.parametrize(
    "foreign", [FOREIGN, {"origin": "null", "host": "h"}, {"sec_fetch_site": "same-site"}]
)
async def test_other_sites_have_no_use_of_a_cookie_and_learn_nothing_of_it(doors, foreign):
    for token in (await doors.session(), MINT.token(), "rubbish", MINT.token(exp=1)):
        await doors.refusal(CrossSite, **cookie(token), **foreign)
    assert (await doors.of(**bearer(MINT.token()), **foreign)).user_id == "ann"
    assert await doors.refusal(**foreign) == NEEDED


async def test_a_sign_out_ends_the_session_and_no_other(doors):
    mine, others = await doors.session(), await doors.session()
    await doors.door.sign_out(Credentials(**cookie(mine), **bearer(MADE.key)))
    assert await doors.refusal(**cookie(mine)) == ENDED
    assert (await doors.of(**cookie(others))).role == "AUDIT_HEAD"
    with pytest.raises(Unauthenticated):
        await doors.door.sign_out(Credentials(**cookie(mine)))


async def test_a_sign_out_ends_an_issuers_token_however_it_comes(doors):
    token = MINT.token()
    await doors.door.sign_out(Credentials(**cookie(token)))
    assert await doors.refusal(**cookie(token)) == ENDED
    assert await doors.refusal(**bearer(token)) == ENDED
    assert (await doors.of(**bearer(MINT.token(sub="bob")))).user_id == "bob"


@pytest.mark.parametrize("given", [{}, bearer(MADE.key), cookie("rubbish")])
async def test_there_is_no_sign_out_without_a_session(doors, given):
    with pytest.raises(Unauthenticated):
        await doors.door.sign_out(Credentials(**given))


async def test_another_site_signs_nobody_out(doors):
    token = await doors.session()
    with pytest.raises(CrossSite):
        await doors.door.sign_out(Credentials(**cookie(token), **FOREIGN))
    assert await doors.of(**cookie(token))


async def test_a_store_that_cannot_look_lets_no_token_in(doors):
    async def away(*_, **__):
        raise DatabaseError("away")

    doors.ended.revoked = away
    await doors.refusal(DatabaseError, **cookie(await doors.session()))
    await doors.refusal(DatabaseError, **cookie(MINT.token()))
    await doors.refusal(DatabaseError, **bearer(MINT.token()))


@pytest.mark.parametrize("carry", [bearer, cookie])
async def test_an_issuers_clock_may_be_ahead_of_the_end_of_all_that_was_issued(doors, carry):
    """Ours is not: who signs in again goes on at once."""
    now = int(time.time())
    await doors.sessions.bar("ann", now * MICROSECONDS)
    assert await doors.refusal(**carry(MINT.token(iat=now + LEEWAY - 1))) == ENDED
    await doors.sessions.bar("dev-auditor", now * MICROSECONDS)
    assert (await doors.of(**cookie(await doors.session()))).user_id == "dev-auditor"
    await doors.sessions.bar("ann", (now - LEEWAY - 1) * MICROSECONDS)
    assert (await doors.of(**carry(MINT.token(iat=now)))).user_id == "ann"


@pytest.fixture
def remembering():
    return Doors(verified=Verified(microseconds, 3_600_000))


def leave(doors):
    async def away(*_, **__):
        raise DatabaseError("away")

    doors.ended.revoked = doors.ended.revoke = away


@pytest.mark.parametrize("carry", [bearer, cookie])
async def test_a_token_that_went_on_goes_on_while_nobody_can_look(remembering, carry):
    seen, unseen = MINT.token(), MINT.token(sub="bob")
    assert (await remembering.of(**carry(seen))).stale is False
    leave(remembering)
    assert (await remembering.of(**carry(seen))).stale is True
    await remembering.refusal(DatabaseError, **carry(unseen))


async def test_a_session_that_went_on_goes_on_while_nobody_can_look(remembering):
    seen, unseen = await remembering.session(), await remembering.session()
    await remembering.of(**cookie(seen))
    leave(remembering)
    caller = await remembering.of(**cookie(seen))
    assert (caller.user_id, caller.stale) == ("dev-auditor", True)
    await remembering.refusal(DatabaseError, **cookie(unseen))


async def test_an_end_that_was_seen_counts_at_once(remembering):
    ended, token = await remembering.session(), MINT.token()
    await remembering.of(**cookie(ended))
    await remembering.of(**bearer(token))
    await remembering.door.sign_out(Credentials(**cookie(ended)))
    assert await remembering.refusal(**cookie(ended)) == ENDED
    leave(remembering)
    await remembering.refusal(DatabaseError, **cookie(ended))
    with pytest.raises(DatabaseError):
        await remembering.door.sign_out(Credentials(**cookie(token)))
    await remembering.refusal(DatabaseError, **bearer(token))
