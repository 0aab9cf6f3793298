"""Where the database server is, as its URL says.

Refuses URLs that two readers could read in two ways; asyncpg and its options (sslmode and so on) do the rest.
"""

import re
from urllib.parse import SplitResult, parse_qs, urlsplit

from msgspec import Struct

from service.errors import DatabaseError
from service.store.postgres.faults import FORM

SCHEMES = ("postgresql://", "postgres://")
HOST = r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:,]*)(:[0-9]{1,5})?"
HOSTS = re.compile(f"{HOST}(,{HOST})*")


class Location(Struct, frozen=True):
    """A server and a database on it; `url` may hold a password, `where` holds none."""

    url: str
    where: str


def is_server(url: str) -> bool:
    """Whether the URL is that of a server."""
    return url.startswith(SCHEMES)


def location_of(url: str) -> Location:
    """Read a URL.

    Raises:
        DatabaseError: It is not one; the words repeat nothing of it.
    """
    try:
        parts = urlsplit(url)
        if is_server(url) and _is_sound(parts):
            return Location(url, _hosts(parts) + parts.path)
    except ValueError:
        pass  # as unsound as the others
    raise DatabaseError(FORM)


def _is_sound(parts: SplitResult) -> bool:
    # A password with a bare @, /, ? or # ends at another place for each reader, and its rest would be shown.
    rest = parts.path + parts.query
    options = not parts.query or parse_qs(parts.query, strict_parsing=True)
    return bool(
        parts.netloc.count("@") <= 1
        and "@" not in rest
        and not parts.fragment
        and HOSTS.fullmatch(_hosts(parts))
        and options
    )


def _hosts(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]
