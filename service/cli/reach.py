"""Whether an address on the network answers, asked without any credential.

Refuses to judge what is answered: a 404 or a 401 is somebody at home.
"""

import socket
from http.client import HTTPException
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

SECONDS = 5.0


class Unreachable(Exception):
    """Nobody answers; the words say why and hold no credential."""


def ask_http(url: str, *, direct: bool = False) -> None:
    """Ask for the head of a page, through the proxies that the environment names, or directly.

    Raises:
        Unreachable: no HTTP came back.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise Unreachable("not an http or https address")
    request = Request(_without_credentials(url), method="HEAD")  # noqa: S310 - the scheme was just looked at
    try:
        _opener(direct=direct).open(request, timeout=SECONDS).close()
    except URLError as error:
        raise Unreachable(_why(error.reason)) from error
    except (OSError, HTTPException, ValueError) as error:
        raise Unreachable(_why(error)) from error


def _opener(*, direct: bool) -> OpenerDirector:
    """One that takes any status for an answer: it follows no redirect and raises over none."""
    opener = OpenerDirector()
    for handler in (ProxyHandler({} if direct else None), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    return opener


def connect(url: str) -> None:
    """Open a connection and close it: gRPC answers nothing to those who do not speak it.

    Raises:
        Unreachable: nobody accepts one.
    """
    try:
        host, port = split(url)
        socket.create_connection((host, port), timeout=SECONDS).close()
    except (OSError, ValueError) as error:
        raise Unreachable(_why(error)) from error


def where(url: str) -> str:
    """The host and port of a URL, for people; never its credentials or its path."""
    try:
        host, port = split(url)
    except ValueError:
        return "(no address)"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split(url: str) -> tuple[str, int]:
    """Host and port of a URL or of `host:port`; raises ValueError."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    if not parts.hostname:
        raise ValueError("there is no host in it")
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _why(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return f"no answer within {SECONDS:g} s"
    return (reason.strerror if isinstance(reason, OSError) else None) or str(reason) or type(reason).__name__
