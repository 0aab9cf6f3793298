"""Whose tokens are trusted, by the settings."""

import pytest

from config import Secret, SettingsError
from config.settings import Jwt
from service.auth.trust import token_door
from service.errors import Unauthenticated
from telemetry.recorder import microseconds
from tests.service.auth.jwks import KeyServer
from tests.service.auth.mint import ALGORITHMS, SECRET, Mint


def settings_of(mint):
    if mint.algorithm == "HS256":
        return Jwt(secret=Secret(SECRET))
    return Jwt(algorithm=mint.algorithm, public_key=mint.pem)


def test_without_a_key_nobody_is_trusted():
    assert token_door(Jwt(), microseconds) is None
    assert token_door(Jwt(issuer="other", audience="other"), microseconds) is None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_key_of_the_settings_is_trusted_whatever_a_token_calls_it(algorithm):
    mint = Mint(algorithm, "any name")
    door = token_door(settings_of(mint), microseconds)
    assert (await door.read(mint.token())).sub == "ann"
    other = Mint(algorithm, "any name", b"o" * 32 if algorithm == "HS256" else None)
    with pytest.raises(Unauthenticated):
        await door.read(other.token())


@pytest.mark.parametrize("algorithm", ALGORITHMS[1:])
async def test_keys_of_an_address_are_trusted_by_their_ids(algorithm):
    one, two, other = (Mint(algorithm, kid) for kid in ("one", "two", "one"))
    with KeyServer(one, two) as server:
        door = token_door(Jwt(algorithm=algorithm, jwks_url=server.url), microseconds)
        for mint in (one, two):
            assert (await door.read(mint.token())).sub == "ann"
        nameless = {"alg": algorithm, "typ": "JWT"}
        for forged in (
            other.token(),
            one.token(header=nameless),
            one.token(header={**one.header, "kid": "two"}),
        ):
            with pytest.raises(Unauthenticated):
                await door.read(forged)
        assert len(server.asked) == 1


def test_a_key_that_is_none_is_named_and_not_shown():
    wrong = Jwt(algorithm="ES256", public_key=Mint("RS256").pem)
    with pytest.raises(SettingsError) as raised:
        token_door(wrong, microseconds)
    assert raised.value.problems == (
        "AGENT_JWT_PUBLIC_KEY: expected the public key of an issuer in PEM, got no public key of ES256",
    )
    with pytest.raises(SettingsError) as raised:
        token_door(Jwt(secret=Secret(Mint("RS256").pem)), microseconds)
    assert raised.value.problems == ("AGENT_JWT_SECRET: a public key is no secret",)
