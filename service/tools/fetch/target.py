"""A URL as it is asked for: scheme, host, port and path, read once and by one strict grammar.

Refuses what two readers could read as two things: whoever checks a URL must not see another host than whoever
connects to it. No user in it, no backslash, no blank, no number but the usual four.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote, urljoin

import idna
from msgspec import Struct

from service.errors import ToolFailed
from service.tools.fetch.addresses import literal

PORTS: Mapping[str, int] = MappingProxyType({"http": 80, "https": 443})
"""The schemes there are, and the port of each."""
LONGEST = 2_000
"""Characters of a URL."""
FORM = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:\[(?P<six>[0-9a-f:.]{2,45})\]|(?P<host>[^\s/?#\[\]@:%\\]{1,255}))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?",
    re.IGNORECASE | re.ASCII,
)
NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""A name with a dot in it whose last part is no number: what has none is looked up in networks of our own."""
STRANGE = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ufffe\uffff\ud800-\udfff]")
"""What some readers drop, some take for a slash, and none needs."""
KEPT = "/?:@!$&'()*+,;=%-._~"
OWN = (
    *("localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "home", "lan"),
    *("home.arpa", "in-addr.arpa", "ip6.arpa", "cluster.local", "test", "invalid", "onion", "svc"),
)
"""Names that are never the public internet's, and those below them: `metadata.google.internal`."""


class Target(Struct, frozen=True):
    """What is asked for, of whom: `host` in ASCII and lower case, an IPv6 address without its brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host as a Host header names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The same as a URL."""
        return f"{self.scheme}://{self.authority}{self.path}"


def read(url: str) -> Target:
    """Read a URL.

    Raises:
        ToolFailed: it is none that is fetched.
    """
    if len(url) > LONGEST or STRANGE.search(url):
        raise ToolFailed(f"A URL has at most {LONGEST} characters, no blank and no backslash.")
    found = FORM.fullmatch(url)
    if found is None:
        raise ToolFailed("Only http:// and https:// URLs with a host and without a user are fetched.")
    scheme = found["scheme"].lower()
    port = int(found["port"]) if found["port"] else PORTS[scheme]
    path = quote((found["path"] or "/") + (found["query"] or ""), safe=KEPT)
    return Target(scheme, _six(found["six"]) if found["six"] else _host(found["host"]), port, path)


def follow(here: Target, location: str) -> Target:
    """Where a redirect leads.

    Raises:
        ToolFailed: to nothing that is fetched, or from https to http.
    """
    if STRANGE.search(location):
        raise ToolFailed("The page redirects to something that is no URL.")
    try:
        there = read(urljoin(here.url, location))
    except ValueError as error:
        raise ToolFailed("The page redirects to something that is no URL.") from error
    if (here.scheme, there.scheme) == ("https", "http"):
        raise ToolFailed("The page redirects from https to http, which anybody between could change.")
    return there


def _six(text: str) -> str:
    address = literal(text)
    if address is None:
        raise ToolFailed("The URL's host is no IPv6 address.")
    return str(address)


def _host(text: str) -> str:
    host = _ascii(text).lower()
    if literal(host) is not None:
        return host
    name = host.removesuffix(".")
    if not NAME.fullmatch(name):
        raise ToolFailed(
            "The URL's host is no name of the public internet, and no address as it is usually written."
        )
    if any(name == own or name.endswith(f".{own}") for own in OWN):
        raise ToolFailed(f"{name} is a name of a private network, which is not fetched from.")
    return name


def _ascii(text: str) -> str:
    if text.isascii():
        return text
    try:
        return idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
    except UnicodeError as error:  # IDNAError is one
        raise ToolFailed("The URL's host is no name that can be looked up.") from error
