"""Where checkpoints are told: a file that is appended to, and a web address that they are posted to.

Refuses to follow an address elsewhere, and to wait for one without bound.
"""

import base64
import os
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from config.settings import Audit
from service.audit.outlet import Outlet

PATIENCE = 3.0
"""Seconds that a web address has to connect, and to answer."""


def outlets(settings: Audit) -> tuple[Outlet, ...]:
    """Those that the settings name."""
    file, address = settings.checkpoint_file, settings.checkpoint_webhook
    told = (("file", file, append), ("webhook", address, post))
    return tuple(Outlet(name, partial(send, where)) for name, where, send in told if where)


def append(path: str, line: bytes) -> None:
    """Append one line to a file and see it on the disk; a new file, its folder too, is its owner's alone.

    Raises:
        OSError: it is not all there.
    """
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.write(file, line + b"\n") != len(line) + 1:
            raise OSError("the line was not written whole")
        os.fsync(file)
    finally:
        os.close(file)


def post(url: str, line: bytes) -> None:
    """Post one JSON object; any 2xx is enough.

    Raises:
        OSError, HTTPException: it was not taken.
    """
    with build_opener(_NoRedirect).open(_request(url, line), timeout=PATIENCE):
        pass  # what it says beyond its status is of no use


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none: checkpoints go where the settings say, or nowhere."""


def _request(url: str, line: bytes) -> Request:
    parts = urlsplit(url)
    user, separator, address = parts.netloc.rpartition("@")
    headers = {"Content-Type": "application/json"}
    if separator:
        headers["Authorization"] = "Basic " + base64.b64encode(unquote(user).encode()).decode()
    return Request(parts._replace(netloc=address).geturl(), line, headers)  # noqa: S310 - the settings take http and https only
