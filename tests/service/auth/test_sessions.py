"""Console sessions: a code opens one, once; it lasts eight hours or until it is ended."""

import hashlib

import pytest

from service.auth.sessions import CODE_LIFE, ENDED, KID, LIFE, USED, Going, Sessions
from service.auth.tokens import LEEWAY, header_of, sign
from service.auth.verified import Verified
from service.errors import DatabaseError, Unauthenticated
from tests.service.auth.forged import forged
from tests.service.auth.mint import Mint

KEY = b"s" * 32
NOW = 1_764_000_000


class Ended:
    """Sessions in dicts: `kept` were ended, `begun` go on; where it is `away` nobody can look."""

    def __init__(self):
        self.kept, self.begun, self.barred, self.away = {}, {}, {}, False

    async def keep(self, session_id, user_id, role, method, begun, until):
        if self.away:
            raise DatabaseError("away")
        self.begun[session_id] = user_id, role, method, begun, until

    async def revoke_all(self, user_id):
        ended = [name for name, (user, *_) in self.begun.items() if user == user_id]
        self.kept |= {name: self.begun.pop(name)[-1] for name in ended}
        return ended

    async def revoke(self, token_id, until, now):
        self.kept[token_id] = until, now
        return True

    async def bar(self, user_id, subject, before):
        self.barred[subject] = before
        return [
            self.begun.pop(name) and name for name, (user, *_) in [*self.begun.items()] if user == user_id
        ]

    async def revoked(self, *names, subjects=(), issued=0):
        if self.away:
            raise DatabaseError("away")
        barred = any(self.barred.get(each, -1) > issued for each in subjects)
        return barred or any(name in self.kept for name in names)


class House:
    """Sessions whose clock stands."""

    def __init__(self):
        self.now, self.ended = float(NOW), Ended()
        self.sessions = Sessions((KEY,), self.ended, lambda: int(self.now * 1_000_000))

    async def signed_in(self, user="dev-auditor", role="AUDIT_HEAD"):
        return await self.sessions.open(self.sessions.invite(user, role))

    async def refusal(self, token):
        with pytest.raises(Unauthenticated) as raised:
            await self.sessions.read(token)
        return raised.value.detail


@pytest.fixture
def house():
    return House()


async def test_a_code_opens_a_session_of_its_user(house):
    token = await house.signed_in()
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


async def test_a_code_is_good_once(house):
    code = house.sessions.invite("ann", "CFO")
    await house.sessions.open(code)
    with pytest.raises(Unauthenticated, match=USED):
        await house.sessions.open(code)


@pytest.mark.parametrize("wrong", ["", "x", "\ud800", "é", "A" * 43, "\0", "a b"])
async def test_a_wrong_code_opens_nothing_and_spends_nothing(house, wrong):
    code = house.sessions.invite("ann", "CFO")
    for other in (wrong, code[:-1], code + "A", code.swapcase(), f" {code}"):
        with pytest.raises(Unauthenticated, match=USED):
            await house.sessions.open(other)
    assert await house.sessions.open(code)


async def test_a_code_is_good_for_ten_minutes(house):
    early, late = (house.sessions.invite("ann", "CFO") for _ in range(2))
    house.now += CODE_LIFE - 0.001
    assert await house.sessions.open(early)
    house.now += 0.001
    with pytest.raises(Unauthenticated, match=USED):
        await house.sessions.open(late)


async def test_a_session_lasts_eight_hours(house):
    token = await house.signed_in()
    house.now += LIFE + LEEWAY - 0.001
    assert await house.sessions.read(token)
    house.now += 0.001
    assert await house.refusal(token) == "The token has expired."


async def test_each_session_has_a_name_of_its_own(house):
    names = {(await house.sessions.read(await house.signed_in())).jti for _ in range(50)}
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
    claims = await house.sessions.read(await house.signed_in())
    await house.sessions.refuse_ended(Going(names=(claims.jti,), person=claims.sub))
    await house.sessions.end(claims.jti, claims.exp)
    assert house.ended.kept == {
        claims.jti: ((NOW + LIFE + LEEWAY) * 1_000_000, NOW * 1_000_000),
    }
    with pytest.raises(Unauthenticated, match=ENDED):
        await house.sessions.refuse_ended(Going(names=(claims.jti,), person=claims.sub))
    other = await house.sessions.read(await house.signed_in())
    await house.sessions.refuse_ended(Going(names=(other.jti,), person=other.sub))


async def test_a_session_is_noted_as_it_begins(house):
    claims = await house.sessions.read(await house.signed_in())
    until = (NOW + LIFE + LEEWAY) * 1_000_000
    assert house.ended.begun == {claims.jti: ("dev-auditor", "AUDIT_HEAD", "link", NOW * 1_000_000, until)}


async def test_a_code_is_not_spent_where_the_session_cannot_be_noted(house):
    code = house.sessions.invite("ann", "CFO")
    house.ended.away = True
    with pytest.raises(DatabaseError):
        await house.sessions.open(code)
    house.ended.away = False
    assert await house.sessions.open(code)


async def test_all_of_a_user_end_and_nobody_elses(house):
    mine = [await house.sessions.read(await house.signed_in("ann")) for _ in range(3)]
    other = await house.sessions.read(await house.signed_in("ben"))
    assert sorted(await house.sessions.end_all("ann")) == sorted(each.jti for each in mine)
    for each in mine:
        with pytest.raises(Unauthenticated, match=ENDED):
            await house.sessions.refuse_ended(Going(names=(each.jti,), person="ann"))
    assert await house.sessions.refuse_ended(Going(names=(other.jti,), person="ben")) is False
    assert await house.sessions.end_all("ann") == []


async def test_a_code_of_somebody_whose_sessions_all_ended_opens_none(house):
    codes = {user: house.sessions.invite(user, "CFO") for user in ("ann", "ben")}
    await house.sessions.bar("ann", NOW * 1_000_000)
    with pytest.raises(Unauthenticated, match=USED):
        await house.sessions.open(codes["ann"])
    assert await house.sessions.open(codes["ben"])


async def test_all_that_ended_stay_out_while_nobody_can_look():
    ended, now = Ended(), lambda: NOW * 1_000_000
    sessions = Sessions((KEY,), ended, now, Verified(now, 60_000))
    names = {user: (await sessions.read(await sessions.begin(user, "CFO", "oidc"))).jti for user in "ab"}
    for user, name in names.items():
        await sessions.refuse_ended(Going(names=(name,), person=user))
    await sessions.end_all("a")
    ended.away = True
    assert await sessions.refuse_ended(Going(names=(names["b"],), person="b")) is True
    with pytest.raises(DatabaseError):
        await sessions.refuse_ended(Going(names=(names["a"],), person="a"))
