"""Whose address counts: the peer's, unless a proxy that is trusted says who is behind it."""

import pytest

from service.web.address import Origin


def of(trusted, peer, *forwarded, name=b"x-forwarded-for"):
    headers = [(b"host", b"h"), *((name, each.encode("latin-1")) for each in forwarded)]
    return Origin(trusted).of({"client": (peer, 1) if peer else None, "headers": headers})


PROXIES = ("10.0.0.0/8", "2001:db8::1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.7"], "198.51.100.7"),
        ("10.1.2.3", ["203.0.113.5, 198.51.100.7"], "198.51.100.7"),
        ("10.1.2.3", ["203.0.113.5", "198.51.100.7"], "198.51.100.7"),
        ("10.1.2.3", ["198.51.100.7, 10.9.9.9"], "198.51.100.7"),
        ("10.1.2.3", ["198.51.100.7,10.9.9.9 , 10.8.8.8"], "198.51.100.7"),
        ("10.1.2.3", ["10.9.9.9"], "10.9.9.9"),
        ("10.1.2.3", ["unknown"], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.7, unknown"], "10.1.2.3"),
        ("10.1.2.3", [""], "10.1.2.3"),
        ("10.1.2.3", ["\xff"], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.7:80"], "10.1.2.3"),
        ("10.1.2.3", ["[2001:db8:1:2:3::4]"], "2001:db8:1:2::/64"),
        ("2001:db8::1", ["198.51.100.7"], "198.51.100.7"),
        ("2001:db8::2", ["198.51.100.7"], "2001:db8::/64"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        ("::ffff:10.1.2.3", ["198.51.100.7"], "198.51.100.7"),
        (None, ["198.51.100.7"], ""),
        ("not an address", ["198.51.100.7"], ""),
    ],
)
def test_whose_address_counts(peer, forwarded, address):
    assert of(PROXIES, peer, *forwarded) == address


def test_without_proxies_nobodys_word_counts():
    assert of((), "10.1.2.3", "198.51.100.7") == "10.1.2.3"


def test_the_headers_name_is_of_any_case_and_no_other_headers_counts():
    assert of(PROXIES, "10.1.2.3", "198.51.100.7", name=b"X-Forwarded-For") == "198.51.100.7"
    assert of(PROXIES, "10.1.2.3", "198.51.100.7", name=b"x-real-ip") == "10.1.2.3"


def test_of_a_long_chain_the_near_end_is_looked_at():
    assert of(PROXIES, "10.1.2.3", ", ".join(["198.51.100.7", *["10.0.0.1"] * 100])) == "10.0.0.1"


def test_two_addresses_of_one_network_are_one_caller():
    assert of((), "2001:db8:1:2::3") == of((), "2001:db8:1:2:ffff::4") != of((), "2001:db8:1:3::3")


@pytest.mark.parametrize("word", ["10.0.0.0/33", "x", "10.0.0.256"])
def test_a_proxy_that_is_no_address_is_refused(word):
    with pytest.raises(ValueError, match=r"does not appear|octet|mask"):
        Origin([word])
