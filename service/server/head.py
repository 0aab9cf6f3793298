"""A request's head -> the scope that an application is handed.

Refuses what llhttp lets through and h11 would not: a head without a host or with two, versions that are none,
and a body that is coded otherwise than in chunks, by which two servers could see two different requests.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

MOST = 16 << 10
"""Bytes of a head, and of what stands in for one behind a body in chunks."""
VERSIONS = frozenset({"1.0", "1.1"})
ASGI = {"version": "3.0", "spec_version": "2.3"}
HOST, LENGTH, CODING = b"host", b"content-length", b"transfer-encoding"
EXPECT, CONTINUE = b"expect", b"100-continue"

Headers = Sequence[tuple[bytes, bytes]]


class NoHttp(Exception):
    """This is no request, or its head is too large."""


class Head:
    """What is said of a request before its body: `keeps` another may follow, `expects` a word to go on.

    Raises:
        NoHttp: it is not to be answered.
    """

    def __init__(self, method: bytes, target: bytes, version: str, headers: Headers) -> None:
        self.method, self.target, self.version, self.headers = method, target, version, headers
        self.expects, self.keeps = False, version == "1.1"
        self._framing = b""
        hosts = 0
        for name, value in headers:
            if name == HOST:
                hosts += 1
            elif name in {LENGTH, CODING}:
                self._frame(name, value)
            elif name == EXPECT and version == "1.1":
                self.expects = value.lower() == CONTINUE
        if version not in VERSIONS or hosts > 1 or (not hosts and version == "1.1"):
            raise NoHttp

    def _frame(self, name: bytes, value: bytes) -> None:
        if name == CODING and (value.lower() != b"chunked" or self.version != "1.1"):
            raise NoHttp
        self._framing = b"%s: %s\r\n" % (name, value)

    def bare(self) -> bytes:
        """A head of the same body, and of nothing else."""
        return b"POST / HTTP/1.1\r\n%s\r\n" % self._framing

    def scope(self, client: tuple[str, int] | None, server: tuple[str, int] | None) -> dict[str, Any]:
        """The scope, by ASGI's word."""
        path, _, query = self.target.partition(b"?")
        return {
            "type": "http",
            "asgi": ASGI,
            "http_version": self.version,
            "server": server,
            "client": client,
            "scheme": "http",
            "method": self.method.decode("ascii"),
            "root_path": "",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "headers": self.headers,
            "state": {},
        }
