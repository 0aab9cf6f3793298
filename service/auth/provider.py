"""What a provider of OpenID Connect says of itself (discovery), and its keys: fetched late, and kept.

Refuses one that speaks for another issuer, and an endpoint that is less safe than the issuer itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from config.settings import Algorithm
from service.auth.json_object import read_object
from service.auth.outside import fetch
from service.auth.public_keys import key_set
from service.auth.published import PublishedKeys
from service.auth.tokens import header_of, payload_of
from service.errors import Unauthenticated
from telemetry import names

ALGORITHMS: Sequence[Algorithm] = ("RS256", "ES256", "EdDSA")
"""Whose keys come in pairs: a key that everybody knows signs nothing."""
WELL_KNOWN = "/.well-known/openid-configuration"
AWAY = "The sign-in provider cannot be reached. Please try again in a moment."
UNSIGNED = "What the provider says of you is not signed by it."


class ProviderFailed(Exception):
    """The provider could not be used; the message is for whoever runs this service."""


class Provider(Struct, frozen=True, kw_only=True):
    """What a provider says of itself, in its own words (OpenID Connect Discovery 1.0; RFC 9207)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Every address in it that is used."""
        return self.authorization_endpoint, self.token_endpoint, self.jwks_uri


class Discovery:
    """One provider, by its issuer; nothing is fetched before somebody signs in."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._documents = PublishedKeys(self._describe, missing=AWAY, line=names.SIGN_IN_FAILED)
        self._keys = PublishedKeys(self._load, missing=AWAY, line=names.SIGN_IN_FAILED)
        self._where = ""

    async def provider(self) -> Provider:
        """What it says of itself.

        Raises:
            UpstreamUnreachable: it cannot be had, and was not lately.
        """
        found: Provider = await self._documents.find(None)
        self._where = found.jwks_uri
        return found

    async def proven(self, provider: Provider, token: str) -> tuple[bytes, str]:
        """What a token says, and the algorithm of its signature, which is one of the provider's keys.

        Raises:
            Unauthenticated: it is not signed so.
            UpstreamUnreachable: the keys cannot be had.
        """
        header = header_of(token)
        named = header.get("alg")
        algorithm: Algorithm | None = next((each for each in ALGORITHMS if each == named), None)
        if algorithm is None or algorithm not in provider.id_token_signing_alg_values_supported:
            raise Unauthenticated(UNSIGNED)
        keys: Mapping[str, Any] = await self._keys.find(header.get("kid")) or {}
        if algorithm not in keys:
            raise Unauthenticated(UNSIGNED)
        return payload_of(token, keys[algorithm], algorithm), algorithm

    def _describe(self) -> Mapping[str | None, Provider]:
        return {None: described(fetch(self._issuer.rstrip("/") + WELL_KNOWN), self._issuer)}

    def _load(self) -> Mapping[str | None, Mapping[str, Any]]:
        return keys_of(fetch(self._where))


def described(document: bytes, issuer: str) -> Provider:
    """A provider by its own document.

    Raises:
        ValueError: it is none, speaks for another issuer, or leads where the issuer's scheme does not.
    """
    provider = msgspec.convert(read_object(document), Provider)
    if provider.issuer != issuer:
        raise ValueError("it speaks for another issuer")
    safe = {"https", urlsplit(issuer).scheme}
    for each in provider.endpoints:
        if urlsplit(each).scheme not in safe or not urlsplit(each).hostname:
            raise ValueError("an endpoint is not an address of the issuer's scheme")
    return provider


def keys_of(document: bytes) -> Mapping[str | None, Mapping[str, Any]]:
    """The keys of a JWK Set by their ids, each by the algorithms that it verifies.

    Raises:
        ValueError: it is no such set.
    """
    found: dict[str | None, dict[str, Any]] = {}
    for algorithm in ALGORITHMS:
        for kid, key in key_set(document, algorithm).items():
            found.setdefault(kid, {})[algorithm] = key
    return found
