"""OpenID Connect, authorization code with PKCE: the only file that knows Authlib.

Refuses an ID token that is not this provider's, for this client, of this very sign-in.
"""

from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import quote_plus, urlencode

import msgspec
from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.client import OAuth2Client
from authlib.oidc.core.claims import CodeIDToken
from joserfc.errors import JoseError
from msgspec import Struct

from config.secret import Secret
from service.auth.json_object import read_object
from service.auth.outside import Reply, post
from service.auth.provider import Provider, ProviderFailed
from service.auth.tokens import LEEWAY
from service.errors import Unauthenticated

BASIC, IN_BODY, NO_SECRET = "client_secret_basic", "client_secret_post", "none"
SPENT = "invalid_grant"
"""The provider's word for a code that it does not take: spent, expired, or of another verifier or client."""
CODE = "The provider does not take its own code any more. Please begin anew."
UNTRUSTED = "What the provider says of you is not trusted here."
ERROR = 400
"""The least status of an error."""


class Question(Struct, frozen=True):
    """What one sign-in asks the provider with, each 256 random bits or more."""

    state: str
    nonce: str
    verifier: str


class Granted(Struct, frozen=True):
    """What a code was worth: the ID token, of which nothing is believed yet, and the access token."""

    id_token: str
    access_token: str | None = None


class Client:
    """This service, as a provider knows it; `back` is where the provider sends people."""

    def __init__(self, client_id: str, secret: Secret | None, back: str, scopes: str) -> None:
        self._id, self._secret, self._back, self._scopes = client_id, secret, back, scopes

    def lead(self, provider: Provider, question: Question) -> str:
        """Where a browser goes to sign in."""
        url, _ = self._at(provider).create_authorization_url(
            provider.authorization_endpoint,
            state=question.state,
            nonce=question.nonce,
            code_verifier=question.verifier,
        )
        return url

    def redeem(self, provider: Provider, code: str, verifier: str) -> Granted:
        """Give the provider its code back for tokens; blocks for five seconds at most.

        Raises:
            Unauthenticated: it does not take the code.
            ProviderFailed: it cannot be had, or knows us not, or what it says is no answer.
        """
        try:
            told = self._at(provider).fetch_token(
                provider.token_endpoint, grant_type="authorization_code", code=code, code_verifier=verifier
            )
            return msgspec.convert(dict(told), Granted)
        except AuthlibBaseError as error:
            if error.error == SPENT:
                raise Unauthenticated(CODE) from error
            raise ProviderFailed(f"token endpoint: {error}") from error
        except (OSError, HTTPException, ValueError, TypeError) as error:  # msgspec's own is a ValueError
            raise ProviderFailed(f"token endpoint: {type(error).__name__}: {error}") from error

    def check(self, claims: CodeIDToken, provider: Provider, now: int) -> None:
        """Whether claims are those of this provider, client and sign-in; `now` is seconds since 1970 (UTC).

        Raises:
            Unauthenticated: they are not.
        """
        token: Any = claims
        token.options = {
            "iss": {"essential": True, "value": provider.issuer},
            "aud": {"essential": True, "value": self._id},
            "sub": {"essential": True},
            "nonce": {"essential": True},
        }
        token.params["client_id"] = self._id
        try:
            token.validate(now, LEEWAY)
        except (JoseError, ValueError, TypeError, AttributeError) as error:
            raise Unauthenticated(f"{UNTRUSTED} {_why(error)}".strip()) from error

    def _at(self, provider: Provider) -> Any:
        client: Any = OAuth2Client(
            _Session(),
            self._id,
            self._secret.reveal() if self._secret else None,
            token_endpoint_auth_method=self._method(provider),
            scope=self._scopes,
            redirect_uri=self._back,
            code_challenge_method="S256",
        )
        client.register_client_auth_method((BASIC, _basic))
        return client

    def _method(self, provider: Provider) -> str:
        if self._secret is None:
            return NO_SECRET
        methods = provider.token_endpoint_auth_methods_supported
        return IN_BODY if IN_BODY in methods and BASIC not in methods else BASIC


def said(payload: bytes, algorithm: str, granted: Granted, nonce: str) -> CodeIDToken:
    """The claims of an ID token whose signature is right, and what they have to fit.

    Raises:
        Unauthenticated: it holds none.
    """
    try:
        claims = read_object(payload)
    except ValueError as error:
        raise Unauthenticated(UNTRUSTED) from error
    return CodeIDToken(
        claims, {"alg": algorithm}, params={"nonce": nonce, "access_token": granted.access_token}
    )


def _why(error: Exception) -> str:
    """Which claim it is; a claim's own value is not repeated."""
    claim = getattr(error, "claim", None)
    return f"The claim {claim} is not right." if isinstance(claim, str) and claim.isidentifier() else ""


def _basic(client: Any, method: str, uri: str, headers: Any, body: str) -> Any:
    """HTTP's own, each part percent-encoded first (RFC 6749, 2.3.1), which Authlib leaves to others."""
    quoted: Any = ClientAuth(quote_plus(client.client_id), quote_plus(client.client_secret), BASIC)
    return quoted.prepare(method, uri, headers, body)


class _Answer:
    """A reply, in the words that Authlib knows."""

    def __init__(self, reply: Reply) -> None:
        self.status_code, self._body = reply.status, reply.body

    def json(self) -> dict[str, Any]:
        """Its object; raises ValueError."""
        return read_object(self._body)

    def raise_for_status(self) -> None:
        """Raise OSError where it is an error."""
        if self.status_code >= ERROR:
            raise OSError(f"status {self.status_code}")


class _Session:
    """What Authlib posts by: nothing is kept, no redirect is followed, and an answer has bounds."""

    def post(self, url: str, data: Mapping[str, str], headers: Mapping[str, str], auth: Any) -> _Answer:
        """Post a form."""
        url, headers, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        return _Answer(post(url, headers, body.encode()))
