import random
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from service.tools.fetch.addresses import is_public

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "93.184.216.34", "151.101.1.140", "172.15.255.255", "172.32.0.1", "100.63.255.255",
    "100.128.0.1", "192.167.1.1", "11.0.0.1", "9.255.255.255", "223.255.255.254", "198.17.0.1", "198.20.0.1",
    "2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001:80b::200e", "2400:cb00::1", "2620:fe::fe",
    "64:ff9b::8.8.8.8", "2001:200::1",
]  # fmt: skip

SPECIAL = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "::/96", "::ffff:0:0/96",
    "::ffff:0:0:0/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:2::/48", "2001:10::/28",
    "2001:20::/28", "2001:db8::/32", "2002::/16", "3fff::/20", "fc00::/7", "fe80::/10", "fec0::/10",
    "ff00::/8", "5f00::/16", "64:ff9b::a00:0/104", "64:ff9b::7f00:0/104", "64:ff9b::a9fe:0/112",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize("network", SPECIAL)
def test_special_networks_from_their_first_address_to_their_last(network):
    whole = ip_network(network)
    numbers = random.Random(network)  # noqa: S311
    inside = [0, 1, whole.num_addresses - 1, *(numbers.randrange(whole.num_addresses) for _ in range(50))]
    for number in inside:
        if number < whole.num_addresses:
            assert not is_public(whole[number]), whole[number]


def test_nothing_private_by_pythons_word_is_public():
    numbers = random.Random(9)  # noqa: S311
    for _ in range(5_000):
        for address in (IPv4Address(numbers.getrandbits(32)), IPv6Address(numbers.getrandbits(128))):
            assert not (
                is_public(address) and (address.is_private or address.is_multicast or address.is_reserved)
            )
