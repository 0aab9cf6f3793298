"""What a request is called: its id and its trace, known before anything of it is believed.

Refuses a client's own id that is longer or stranger than a line of a log should hold.
"""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from service.web.headers import headers_of

KEY = "parley.identity"
WELL_FORMED = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
"""An incoming X-Request-Id that is kept."""


class Identity(Struct, frozen=True, kw_only=True):
    """`request_id` is a UUIDv7, on the chat route the turn's id; `trace_id` 32 hex characters."""

    request_id: str
    trace_id: str
    client_request_id: str | None = None


def identity_of(scope: Mapping[str, Any]) -> Identity:
    """The identity that the envelope gave this request."""
    return scope[KEY]


def client_request_id(scope: Any) -> str | None:
    """The client's own id for the request, where it is well-formed."""
    given = headers_of(scope).get(b"x-request-id", b"")
    return given.decode() if WELL_FORMED.fullmatch(given) else None
