"""Whose tokens are trusted, by the settings; nobody's where they name no key.

Refuses to start with a key that is not one of the algorithm.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from msgspec import Struct

from config import SettingsError
from config.settings import Algorithm, Jwt
from service.auth.outside import fetch
from service.auth.public_keys import key_set, public_key
from service.auth.published import PublishedKeys
from service.auth.tokens import Clock, Issuer, Keys, TokenDoor, shared_key


class OneKey(Struct, frozen=True):
    """The only key there is, whatever a token calls it."""

    key: Any

    async def find(self, kid: str | None) -> Any:
        """The key."""
        del kid
        return self.key


def token_door(settings: Jwt, clock: Clock) -> TokenDoor | None:
    """The door for tokens of the issuer that the settings name.

    Raises:
        SettingsError: its key is none.
    """
    issuer = Issuer(name=settings.issuer, audience=settings.audience, algorithm=settings.algorithm)
    keys = _keys(settings)
    return TokenDoor(issuer, keys, clock) if keys else None


def _keys(settings: Jwt) -> Keys | None:
    if settings.jwks_url:
        return PublishedKeys(partial(_load, settings.jwks_url, settings.algorithm))
    if settings.public_key:
        return OneKey(_read_public(settings.public_key, settings.algorithm))
    return OneKey(_read_shared(settings.secret.reveal())) if settings.secret else None


def _load(url: str, algorithm: Algorithm) -> Mapping[str | None, Any]:
    return key_set(fetch(url), algorithm)


def _read_public(pem: str, algorithm: Algorithm) -> Any:
    try:
        return public_key(pem, algorithm)
    except ValueError as error:
        raise SettingsError(
            (f"AGENT_JWT_PUBLIC_KEY: expected the public key of an issuer in PEM, got {error}",)
        ) from None


def _read_shared(secret: str) -> bytes:
    try:
        return shared_key(secret)
    except ValueError as error:
        raise SettingsError((f"AGENT_JWT_SECRET: {error}",)) from None
