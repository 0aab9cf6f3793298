"""Requests to an issuer or a provider: its documents, and the one form that we post to it.

Refuses redirects, more than five seconds, and more bytes than such a thing can have.
"""

import base64
import time
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from msgspec import Struct

PATIENCE = 5.0
"""Seconds of one request."""
MOST_BYTES = 262_144
PIECE = 16_384
ACCEPT = "application/jwk-set+json, application/json"


class Reply(Struct, frozen=True):
    """An answer, whatever its status."""

    status: int
    body: bytes


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none: what is asked for is where the settings say, or nowhere."""


def fetch(url: str) -> bytes:
    """The body of a URL, whose credentials are sent as HTTP's own; blocks for five seconds at most.

    Raises:
        OSError, HTTPException: it cannot be had, or not in time.
        ValueError: it is too large.
    """
    return _exchange(_request(url)).body


def post(url: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """Post a body; an error's status is an answer like another. Blocks as `fetch` does.

    Raises:
        OSError, HTTPException: there is no answer, or not in time.
        ValueError: it is too large.
    """
    request = Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310 - the settings take http and https only
    try:
        return _exchange(request)
    except HTTPError as error:
        with error:
            return Reply(error.code, error.read(MOST_BYTES))


def _exchange(request: Request) -> Reply:
    until = time.monotonic() + PATIENCE
    with build_opener(_NoRedirect).open(request, timeout=PATIENCE) as response:
        body = b""
        while piece := response.read1(PIECE):
            body += piece
            if len(body) > MOST_BYTES:
                raise ValueError("the answer is too large")
            if time.monotonic() > until:
                raise TimeoutError("the answer came too slowly")
    return Reply(response.status, body)


def _request(url: str) -> Request:
    parts = urlsplit(url)
    user, separator, address = parts.netloc.rpartition("@")
    headers = {"Accept": ACCEPT}
    if separator:
        headers["Authorization"] = "Basic " + base64.b64encode(unquote(user).encode()).decode()
    return Request(parts._replace(netloc=address).geturl(), headers=headers)  # noqa: S310 - the settings take http and https only
