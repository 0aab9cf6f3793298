"""Cookies and other sites: the whole matrix of what a browser may say."""

import contextlib
import itertools

import pytest

from service.auth.credentials import Credentials
from service.auth.site import REASON, refuse_other_sites
from service.errors import CrossSite

FETCH_SITES = {
    None: True,
    "same-origin": True,
    "none": True,
    "same-site": False,
    "cross-site": False,
    "": False,
    "Same-Origin": False,
    "same-origin, cross-site": False,
    "anything": False,
}

HTTP = {
    None: True,
    "http://parley.example": True,
    "http://parley.example:80": True,
    "HTTP://Parley.Example": True,
    "http://parley.example:8080": False,
    "https://parley.example": False,
    "https://parley.example:80": False,
    "http://evil.example": False,
    "http://sub.parley.example": False,
    "http://parley.example.evil.example": False,
    "http://parley.example/": False,
    "http://parley.example@evil.example": False,
    "http://user@parley.example": False,
    "http://parley.example:": False,
    "http://parley.example.": False,
    "http://": False,
    "//parley.example": False,
    "parley.example": False,
    "null": False,
    "": False,
    "*": False,
    "file://": False,
    "http://parley.example, http://evil.example": False,
}


def passes(**given):
    with contextlib.ExitStack() as refused:
        raised = refused.enter_context(pytest.raises(CrossSite))
        refuse_other_sites(Credentials(**given))
        refused.pop_all()
        return True
    assert raised.value.detail == REASON
    return False


@pytest.mark.parametrize(("site", "origin"), list(itertools.product(FETCH_SITES, HTTP)))
@pytest.mark.parametrize("host", ["parley.example", "parley.example:80", "PARLEY.example"])
def test_only_this_very_origin_passes(site, origin, host):
    allowed = FETCH_SITES[site] and HTTP[origin]
    assert passes(sec_fetch_site=site, origin=origin, host=host) is allowed


@pytest.mark.parametrize(
    ("scheme", "host", "origin", "allowed"),
    [
        ("https", "parley.example", "https://parley.example", True),
        ("https", "parley.example", "https://parley.example:443", True),
        ("https", "parley.example:443", "https://parley.example", True),
        ("https", "parley.example", "http://parley.example", False),
        ("https", "parley.example", "https://parley.example:80", False),
        ("https", "parley.example:80", "https://parley.example", False),
        ("http", "127.0.0.1:3005", "http://127.0.0.1:3005", True),
        ("http", "127.0.0.1:3005", "http://127.0.0.1:3006", False),
        ("http", "127.0.0.1:3005", "http://localhost:3005", False),
        ("http", "[::1]:3005", "http://[::1]:3005", True),
        ("http", "[::1]", "http://[::1]:80", True),
        ("http", None, "http://parley.example", False),
        ("http", "", "http://", False),
        ("http", "", "http://:80", False),
        ("http", None, None, True),
        ("http", "parley.example, evil.example", "http://evil.example", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(scheme, host, origin, allowed):
    assert passes(scheme=scheme, host=host, origin=origin) is allowed
