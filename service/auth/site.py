"""Whether a request that a cookie speaks for was started by this very site (contract, section 4).

Refuses other sites, and other hosts and ports of the same site, by what a browser says of itself; a client
that says nothing is no browser.
"""

from collections.abc import Mapping
from types import MappingProxyType

from service.auth.credentials import Credentials
from service.errors import CrossSite

OURS = frozenset({"same-origin", "none"})
"""`none` is a person who typed the address, or followed a link from outside the browser."""
REASON = "The session cookie came with a request that another site started."
PORTS: Mapping[str, str] = MappingProxyType({"http": ":80", "https": ":443"})


def refuse_other_sites(given: Credentials) -> None:
    """Let the request pass.

    Raises:
        CrossSite: another site started it.
    """
    if given.sec_fetch_site is not None and given.sec_fetch_site not in OURS:
        raise CrossSite(REASON)
    if given.origin is not None and not _own(given.origin, given.host):
        raise CrossSite(REASON)


def _own(origin: str, host: str | None) -> bool:
    """Compare host and port. Whether it was TLS, only a proxy that ended it knows: we see http either way."""
    scheme, _, authority = origin.lower().partition("://")
    port = PORTS.get(scheme)
    if not host or port is None:
        return False
    return authority.removesuffix(port) == host.lower().removesuffix(port)
