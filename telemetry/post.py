"""Posts to a web address that the settings name: the one way in which anything of ours is told by HTTP.

Refuses to follow an address elsewhere, and to wait for one without bound.
"""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

PATIENCE = 3.0
"""Seconds that a web address has to connect, and to answer."""


def post(url: str, body: bytes, headers: Mapping[str, str] | None = None, *, direct: bool = False) -> None:
    """Post one JSON object, with the credentials of the address; any 2xx is enough.

    Args:
        url: http or https.
        body: The object.
        headers: Further ones.
        direct: Not through a proxy that the environment names.

    Raises:
        OSError, HTTPException: it was not taken.
    """
    ways = (_NoRedirect(), ProxyHandler({})) if direct else (_NoRedirect(),)
    try:
        # what it says beyond its status is of no use
        build_opener(*ways).open(_request(url, body, headers or {}), timeout=PATIENCE).close()
    except HTTPError as refused:
        refused.close()
        raise


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none: what is told goes where the settings say, or nowhere."""


def addressed(url: str) -> tuple[str, dict[str, str]]:
    """An address without the credentials in it, and the header that has them."""
    parts = urlsplit(url)
    user, separator, address = parts.netloc.rpartition("@")
    headers = (
        {"Authorization": "Basic " + base64.b64encode(unquote(user).encode()).decode()} if separator else {}
    )
    return parts._replace(netloc=address).geturl(), headers


def _request(url: str, body: bytes, further: Mapping[str, str]) -> Request:
    where, headers = addressed(url)
    return Request(where, body, {"Content-Type": "application/json", **further, **headers})  # noqa: S310 - the settings take http and https only
