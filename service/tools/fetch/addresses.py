"""Which IP addresses are the public internet's.

Refuses in doubt: private and special networks, ways to write an IPv4 address within an IPv6 one, and the
addresses at which clouds tell their machines secrets.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

CLOSED_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers; Alibaba's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's wire server, in a range that is public otherwise
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4, of which none should be left
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
OPEN_6 = IPv6Network("2000::/3")
"""All of IPv6 that is given out as public: what is beyond is private, special, or nobody's yet."""
CLOSED_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: leads to an IPv4 address within it
        "3fff::/20",  # documentation
    )
)
NAT64 = IPv6Network("64:ff9b::/96")
"""Leads to the IPv4 address in its last 32 bits; all there is of IPv4 where a host has only IPv6."""
ISATAP = frozenset({0x00005EFE, 0x02005EFE})
"""Bits 64 to 95 of an IPv6 address that leads to the IPv4 address in its last 32 bits."""
LAST_32 = 0xFFFFFFFF


def is_public(address: Address) -> bool:
    """Whether an address is the public internet's, and nobody's way into a network of our own."""
    if isinstance(address, IPv4Address):
        return _is_public_4(address)
    if address in NAT64:
        return _is_public_4(IPv4Address(int(address) & LAST_32))
    return (
        address.scope_id is None
        and address in OPEN_6
        and address.is_global
        and not any(address in network for network in CLOSED_6)
        and (int(address) >> 32) & LAST_32 not in ISATAP
    )


def _is_public_4(address: IPv4Address) -> bool:
    return address.is_global and not any(address in network for network in CLOSED_4)


def literal(host: str) -> Address | None:
    """The address that a host is, in its one usual spelling; None where it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None
