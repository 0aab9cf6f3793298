"""Tokens: good ones of each algorithm are read, and nothing that is forged is."""

import time

import pytest

from service.auth.public_keys import public_key
from service.auth.tokens import (
    CLAIMS,
    LEEWAY,
    LONGEST,
    UNTRUSTED,
    Issuer,
    TokenDoor,
    header_of,
    shared_key,
    sign,
)
from service.auth.trust import OneKey
from service.errors import Unauthenticated
from tests.service.auth.forged import forged
from tests.service.auth.mint import ALGORITHMS, AUDIENCE, ISSUER, SECRET, Mint

NOW = int(time.time())
MINTS = {algorithm: Mint(algorithm, now=NOW) for algorithm in ALGORITHMS}
NOWHERE = "http://127.0.0.1:9/jwks"
FORGED = {name: token for mint in MINTS.values() for name, token in forged(mint, NOWHERE).items()}


def door(mint, now=None, **issuer):
    key = shared_key(SECRET) if mint.algorithm == "HS256" else public_key(mint.pem, mint.algorithm)
    named = {"name": ISSUER, "audience": AUDIENCE, "algorithm": mint.algorithm} | issuer
    return TokenDoor(Issuer(**named), OneKey(key), lambda: int((now or NOW) * 1_000_000))


async def refusal(token, mint=MINTS["ES256"], now=None, **issuer):
    with pytest.raises(Unauthenticated) as raised:
        await door(mint, now, **issuer).read(token)
    return raised.value.detail


@pytest.fixture(params=ALGORITHMS)
def mint(request):
    return MINTS[request.param]


async def test_a_good_token_of_each_algorithm_is_read(mint):
    claims = await door(mint).read(mint.token(jti="7", scope="audit:content", extra={"any": [1]}))
    assert (claims.iss, claims.aud, claims.sub, claims.role) == (ISSUER, AUDIENCE, "ann", "CFO")
    assert (claims.jti, claims.scope) == ("7", "audit:content")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["other", "parley"]},
        {"sub": "a" * 128},
        {"sub": "https://issuer/users/7"},
        {"sub": "ünïcode-\u540d"},
        {"role": "A" * 32},
        {"role": "X_9"},
        {"exp": NOW + 60.5},
        {"exp": NOW - 29},
        {"nbf": NOW + 30},
        {"iat": NOW + 30},
    ],
)
async def test_what_may_differ_differs(mint, changes):
    claims = await door(mint).read(mint.token(**changes))
    assert {name: getattr(claims, name) for name in changes if name != "aud"}.items() <= changes.items()


@pytest.mark.parametrize(
    "header", [{"typ": "jwt"}, {"typ": "at+jwt"}, {"typ": "AT+JWT"}, {"kid": "any"}, {"x5t": "digest"}]
)
async def test_a_header_may_say_what_does_no_harm(mint, header):
    assert (await door(mint).read(mint.token(header=mint.header | header))).sub == "ann"


async def test_a_header_may_do_without_a_type(mint):
    assert (await door(mint).read(mint.token(header={"alg": mint.algorithm}))).sub == "ann"


def test_there_are_enough_forgeries_of_each_algorithm():
    for algorithm in ALGORITHMS:
        names = [name for name in FORGED if name.startswith(algorithm)]
        assert len(names) >= 150, algorithm


@pytest.mark.parametrize("name", FORGED)
async def test_no_forgery_is_taken(name):
    said = await refusal(FORGED[name], MINTS[name.partition(":")[0]])
    assert said.startswith("The token ")
    assert FORGED[name] == "" or FORGED[name] not in said


@pytest.mark.parametrize("other", ALGORITHMS)
async def test_the_algorithm_is_ours_and_never_the_tokens(mint, other):
    if other != mint.algorithm:
        assert await refusal(MINTS[other].token(), mint) == UNTRUSTED


async def test_time_is_ours_to_the_second(mint):
    claims = mint.claims(iat=1_000, nbf=1_000, exp=2_000)
    token = mint.token(claims)
    assert (await door(mint, 1_000 - LEEWAY).read(token)).exp == 2_000
    assert (await door(mint, 2_000 + LEEWAY - 0.001).read(token)).exp == 2_000
    assert await refusal(token, mint, 2_000 + LEEWAY) == "The token has expired."
    assert await refusal(token, mint, 1_000 - LEEWAY - 0.001) == "The token does not hold yet."
    assert await refusal(mint.token(claims | {"nbf": 0}), mint, 900) == "The token does not hold yet."
    assert await refusal(mint.token(claims | {"iat": 0}), mint, 900) == "The token does not hold yet."


async def test_whoever_signed_it_is_told_what_is_wrong_and_nobody_else(mint):
    assert await refusal(mint.token(iss="x"), mint) == "The token is of another issuer."
    assert await refusal(mint.token(aud="x"), mint) == "The token is for somebody else."
    assert await refusal(mint.token(role="x"), mint) == CLAIMS
    other = Mint(mint.algorithm, key=b"o" * 32 if mint.algorithm == "HS256" else None)
    assert await refusal(other.token(iss="x", role="x"), mint) == UNTRUSTED


async def test_issuer_and_audience_are_the_settings(mint):
    token = mint.token(iss="https://i", aud="us")
    assert (await door(mint, name="https://i", audience="us").read(token)).iss == "https://i"
    assert await refusal(token, mint, name="https://i") == "The token is for somebody else."
    assert await refusal(token, mint, audience="us") == "The token is of another issuer."


async def test_no_key_is_no_token(mint):
    class Nobody:
        async def find(self, kid):
            assert kid is None

    issuer = Issuer(name=ISSUER, audience=AUDIENCE, algorithm=mint.algorithm)
    with pytest.raises(Unauthenticated, match="trusted"):
        await TokenDoor(issuer, Nobody(), lambda: 0).read(mint.token())


async def test_a_token_may_be_as_long_as_it_may_and_no_longer(mint):
    short = mint.token()
    room = LONGEST - len(mint.token(x="")) - 2
    token = mint.token(x="y" * (room * 3 // 4))
    assert len(short) < LONGEST - 5 < len(token) <= LONGEST
    assert (await door(mint).read(token)).sub == "ann"


class Asked:
    """Keys that write down who asked for one."""

    def __init__(self):
        self.kids = []

    async def find(self, kid):
        self.kids.append(kid)


@pytest.mark.parametrize(
    "header",
    [
        *({"alg": name} for name in ("none", "HS256", "RS256", None)),
        *({"kid": kid} for kid in (7, None, [], {}, True)),
        *({name: "x"} for name in ("jku", "x5u", "jwk", "x5c", "crit", "typ", "cty")),
    ],
)
async def test_no_key_is_looked_for_where_the_header_is_wrong(header):
    mint, asked = MINTS["ES256"], Asked()
    door = TokenDoor(Issuer(name=ISSUER, audience=AUDIENCE, algorithm="ES256"), asked, lambda: 0)
    for right in ({}, header):
        with pytest.raises(Unauthenticated):
            await door.read(mint.token(header=mint.header | {"kid": "k1"} | right))
    assert asked.kids == ["k1"]


def test_a_public_key_is_no_secret():
    for algorithm in ("EdDSA", "ES256", "RS256"):
        with pytest.raises(ValueError, match="no secret"):
            shared_key(MINTS[algorithm].pem)
    assert shared_key(SECRET) == SECRET.encode()


def test_a_token_of_our_own_says_whose_it_is():
    token = sign({"sub": "ann"}, b"k" * 32, "ours")
    assert header_of(token) == {"alg": "HS256", "typ": "JWT", "kid": "ours"}
