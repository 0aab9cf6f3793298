"""Console sessions: a code opens one, once; it lasts eight hours or until it is ended."""

import hashlib

import pytest

from service.auth.sessions import CODE_LIFE, ENDED, KID, LIFE, USED, Sessions
from service.auth.tokens import LEEWAY, header_of, sign
from service.errors import Unauthenticated
from tests.service.auth.forged import forged
from tests.service.auth.mint import Mint

KEY = b"s" * 32
NOW = 1_764_000_000


class Ended:
    """Ended sessions in a dict."""

    def __init__(self):
        self.kept = {}

    async def revoke(self, token_id, until, now):
        self.kept[token_id] = until, now

    async def revoked(self, token_id):
        return token_id in self.kept


class House:
    """Sessions whose clock stands."""

    def __init__(self):
        self.now, self.ended = float(NOW), Ended()
        self.sessions = Sessions(KEY, self.ended, lambda: int(self.now * 1_000_000))

    def signed_in(self, user="dev-auditor", role="AUDIT_HEAD"):
        return self.sessions.open(self.sessions.invite(user, role))

    async def refusal(self, token):
        with pytest.raises(Unauthenticated) as raised:
            await self.sessions.read(token)
        return raised.value.detail


@pytest.fixture
def house():
    return House()


async def test_a_code_opens_a_session_of_its_user(house):
    token = house.signed_in()
    assert header_of(token) == {"alg": "HS256", "kid": KID, "typ": "JWT"}
    claims = await house.sessions.read(token)
    assert (claims.sub, claims.role, claims.iss, claims.aud) == (
        "dev-auditor",
        "AUDIT_HEAD",
        "parley",
        "parley",
    )
    assert (claims.iat, claims.exp) == (NOW, NOW + LIFE)
    assert LIFE == 8 * 60 * 60


def test_a_code_is_256_random_bits_and_kept_as_its_hash_only(house):
    codes = {house.sessions.invite("ann", "CFO") for _ in range(200)}
    assert len(codes) == 200
    assert all(len(code) == 43 for code in codes)
    kept = repr(house.sessions._invitations)
    assert not [code for code in codes if code in kept]
    assert hashlib.sha256(b"").digest() not in house.sessions._invitations


def test_a_code_is_good_once(house):
    code = house.sessions.invite("ann", "CFO")
    house.sessions.open(code)
    with pytest.raises(Unauthenticated, match=USED):
        house.sessions.open(code)


@pytest.mark.parametrize("wrong", ["", "x", "\ud800", "é", "A" * 43, "\0", "a b"])
def test_a_wrong_code_opens_nothing_and_spends_nothing(house, wrong):
    code = house.sessions.invite("ann", "CFO")
    for other in (wrong, code[:-1], code + "A", code.swapcase(), f" {code}"):
        with pytest.raises(Unauthenticated, match=USED):
            house.sessions.open(other)
    assert house.sessions.open(code)


def test_a_code_is_good_for_ten_minutes(house):
    early, late = (house.sessions.invite("ann", "CFO") for _ in range(2))
    house.now += CODE_LIFE - 0.001
    assert house.sessions.open(early)
    house.now += 0.001
    with pytest.raises(Unauthenticated, match=USED):
        house.sessions.open(late)


async def test_a_session_lasts_eight_hours(house):
    token = house.signed_in()
    house.now += LIFE + LEEWAY - 0.001
    assert await house.sessions.read(token)
    house.now += 0.001
    assert await house.refusal(token) == "The token has expired."


async def test_each_session_has_a_name_of_its_own(house):
    names = {(await house.sessions.read(house.signed_in())).jti for _ in range(50)}
    assert len(names) == 50


async def test_only_our_own_key_opens(house):
    claims = {"iss": "parley", "aud": "parley", "sub": "ann", "role": "AUDIT_HEAD", "exp": NOW + 60}
    assert (await house.sessions.read(sign(claims, KEY, KID))).sub == "ann"
    for key in (b"t" * 32, b"s" * 33, KEY.hex().encode()):
        await house.refusal(sign(claims, key, KID))
    for changes in ({"iss": "other"}, {"aud": "other"}):
        await house.refusal(sign(claims | changes, KEY, KID))


FORGED = forged(Mint("HS256", KID, KEY, now=NOW), "http://127.0.0.1:9")


@pytest.mark.parametrize("name", FORGED)
async def test_no_forged_session_is_taken(house, name):
    await house.refusal(FORGED[name])


async def test_a_session_ends_when_it_is_ended(house):
    claims = await house.sessions.read(house.signed_in())
    await house.sessions.refuse_ended(claims.jti)
    await house.sessions.end(claims.jti, claims.exp)
    assert house.ended.kept == {
        claims.jti: ((NOW + LIFE + LEEWAY) * 1_000_000, NOW * 1_000_000),
    }
    with pytest.raises(Unauthenticated, match=ENDED):
        await house.sessions.refuse_ended(claims.jti)
    other = await house.sessions.read(house.signed_in())
    await house.sessions.refuse_ended(other.jti)
