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

ORIGINS = {
    None: True,
    "http://parley.example": True,
    "http://parley.example:80": True,
    "HTTP://Parley.Example": True,
    "http://parley.example:8080": False,
    "ftp://parley.example": False,
    "https://parley.example:8443": False,
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


@pytest.mark.parametrize(("site", "origin"), list(itertools.product(FETCH_SITES, ORIGINS)))
@pytest.mark.parametrize("host", ["parley.example", "parley.example:80", "PARLEY.example"])
def test_only_this_very_origin_passes(site, origin, host):
    allowed = FETCH_SITES[site] and ORIGINS[origin]
    assert passes(sec_fetch_site=site, origin=origin, host=host) is allowed


@pytest.mark.parametrize(
    ("host", "origin", "allowed"),
    [
        ("parley.example", "https://parley.example", True),
        ("parley.example", "https://parley.example:443", True),
        ("parley.example:443", "https://parley.example", True),
        ("parley.example:8443", "HTTPS://Parley.example:8443", True),
        ("parley.example:8443", "https://parley.example", False),
        ("parley.example", "https://parley.example:80", False),
        ("parley.example:80", "https://parley.example", False),
        ("parley.example:443", "http://parley.example", False),
        ("127.0.0.1:3005", "http://127.0.0.1:3005", True),
        ("127.0.0.1:3005", "http://127.0.0.1:3006", False),
        ("127.0.0.1:3005", "http://localhost:3005", False),
        ("[::1]:3005", "http://[::1]:3005", True),
        ("[::1]", "http://[::1]:80", True),
        (None, "http://parley.example", False),
        ("", "http://", False),
        ("", "http://:80", False),
        (None, None, True),
        ("null", "null", False),
        ("parley.example, evil.example", "http://evil.example", False),
    ],
)
def test_an_origin_is_a_host_and_a_port_whoever_ended_its_tls(host, origin, allowed):
    assert passes(host=host, origin=origin) is allowed
