"""Who was let in by which credential lately: a guess at who asks, before anybody is asked who that is.

Refuses to let anybody in: an order of waiting hangs on it, nothing else. Credentials are not kept, only
digests under a key of this process.
"""

import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b
from typing import Any

from service.auth.credentials import Credentials
from service.errors import Unauthenticated
from service.web.headers import headers_of
from telemetry.record import Caller

CAPACITY = 10_000
"""Credentials that are remembered."""
STRANGER = ""
"""All who are not known are one: a flood of made-up keys waits in one line."""
WHOM = "parley.whom"
"""Where a request's scope says who seems to ask."""


Identify = Callable[[Credentials], Awaitable[Caller]]


class Acquaintances:
    """Remembers whoever came last."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity, self._key = capacity, secrets.token_bytes(16)
        self._known: OrderedDict[bytes, str] = OrderedDict()

    def whom(self, scope: Mapping[str, Any]) -> str:
        """The user by the request's credential; STRANGER where it was not met."""
        found = headers_of(scope)
        credential = found.get(b"authorization") or found.get(b"cookie")
        if not credential:
            return STRANGER
        return self._known.get(self._digest(credential), STRANGER)

    def remembering(self, identify: Identify) -> Identify:
        """The same question, whose answers are remembered."""

        async def remember(credentials: Credentials) -> Caller:
            try:
                caller = await identify(credentials)
            except Unauthenticated:
                self._forget(credentials)
                raise
            if credential := credentials.authorization or credentials.cookie:
                self._met(credential.encode("latin-1"), caller.person)
            return caller

        return remember

    def _forget(self, credentials: Credentials) -> None:
        if credential := credentials.authorization or credentials.cookie:
            self._known.pop(self._digest(credential.encode("latin-1", "replace")), None)

    def _met(self, credential: bytes, user_id: str) -> None:
        digest = self._digest(credential)
        self._known[digest] = user_id
        self._known.move_to_end(digest)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def _digest(self, credential: bytes) -> bytes:
        return blake2b(credential, key=self._key, digest_size=16).digest()


def whom_of(scope: Mapping[str, Any]) -> str:
    """Who seems to ask this request."""
    return scope.get(WHOM, STRANGER)
