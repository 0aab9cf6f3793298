"""Where a request comes from: the peer, or what trusted proxies say of who is behind them.

Refuses the word of anybody else: X-Forwarded-For counts from the right, as far as those who wrote it are
trusted.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from service.web.headers import headers_of

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

FORWARDED = b"x-forwarded-for"
HOPS = 32
"""Of a header that are looked at."""
SUBNET = 64
"""Bits of an IPv6 address that are one caller: the rest anybody may choose freely."""


class Origin:
    """Says where requests come from.

    Args:
        trusted: Addresses and networks of the proxies whose word counts.

    Raises:
        ValueError: One of them is no address and no network.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted: tuple[Network, ...] = tuple(ip_network(each, strict=False) for each in trusted)

    def of(self, scope: Mapping[str, Any]) -> str:
        """Give the address, an IPv6 one as its /64 network; empty for a local socket."""
        client = scope.get("client")
        peer = _peer(client[0]) if client else None
        if peer is None:
            return ""
        forwarded = headers_of(scope).get(FORWARDED)
        if forwarded is None:
            return peer[1]
        return self._behind(peer[0], forwarded)

    def _behind(self, peer: Address, forwarded: bytes) -> str:
        for hop in _hops(forwarded):
            if not self._trusts(peer):
                break
            peer = hop
        return _name(peer)

    def _trusts(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self._trusted)


def _hops(written: bytes) -> Iterator[Address]:
    """Who the proxies say was before them, the nearest first; ends at the first word that is no address."""
    for word in reversed(written.decode("latin-1").split(",")[-HOPS:]):
        hop = _address(word.strip())
        if hop is None:
            return
        yield hop


@lru_cache(maxsize=4_096)
def _peer(text: str) -> tuple[Address, str] | None:
    """An address and its name."""
    address = _address(text)
    return (address, _name(address)) if address else None


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _name(address: Address) -> str:
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> SUBNET << SUBNET, SUBNET)))
    return str(address)
