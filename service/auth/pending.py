"""A sign-in under way: what the browser that began it keeps for us, sealed, for ten minutes.

Refuses one that was changed, is of another installation or too old, or does not belong to the answer.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct

from service.errors import Unauthenticated
from service.seal.content import ContentUnreadable, open_text, seal_text

COOKIE = "sign_in"
LIFE = 600
"""Seconds."""
PURPOSE = "sign-in"
LONGEST = 4_096
"""Characters of the cookie."""
NOT_OURS = (
    "This sign-in was not begun in this browser, was finished before, or took too long. Please begin anew."
)

Clock = Callable[[], int]
"""Microseconds since 1970 (UTC)."""


class Pending(Struct, frozen=True, kw_only=True):
    """What the provider was asked with, where to go afterwards, and until when (microseconds since 1970)."""

    state: str
    nonce: str
    verifier: str
    to: str
    until: int

    @property
    def id(self) -> str:
        """What it is called where it is noted as finished."""
        return f"{PURPOSE} {hashlib.sha256(self.state.encode()).hexdigest()[:32]}"


class Answer(Struct, frozen=True):
    """What a browser brings back from the provider, each part "" where it did not come."""

    state: str = ""
    code: str = ""
    iss: str = ""
    error: str = ""


class Drawer:
    """Where they are kept: with the browsers, under the first of our keys; any of them opens one."""

    def __init__(self, keys: Sequence[bytes], clock: Clock) -> None:
        self._keys, self._clock = keys, clock

    def begin(self, to: str) -> Pending:
        """One that is new in every part."""
        until = self._clock() + LIFE * 1_000_000
        state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        return Pending(state=state, nonce=nonce, verifier=secrets.token_urlsafe(64), to=to, until=until)

    def seal(self, pending: Pending) -> str:
        """As a cookie's value."""
        text = msgspec.json.encode(pending).decode()
        return urlsafe_b64encode(seal_text(self._keys[0], PURPOSE, text)).decode().rstrip("=")

    def open(self, cookie: str, state: str) -> Pending:
        """The one that this state belongs to.

        Raises:
            Unauthenticated: there is none, or it is over.
        """
        try:
            pending = msgspec.json.decode(self._opened(cookie), type=Pending)
        except (ContentUnreadable, ValueError) as error:  # msgspec's own is one
            raise Unauthenticated(NOT_OURS) from error
        same = hmac.compare_digest(pending.state.encode(), state.encode("utf-8", "surrogatepass"))
        if not same or self._clock() >= pending.until:
            raise Unauthenticated(NOT_OURS)
        return pending

    def _opened(self, cookie: str) -> str:
        if len(cookie) > LONGEST or not cookie.isascii():
            raise ValueError("no cookie of ours")
        sealed = urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
        *others, last = self._keys
        for key in others:
            with suppress(ContentUnreadable):
                return open_text(key, PURPOSE, sealed)
        return open_text(last, PURPOSE, sealed)
