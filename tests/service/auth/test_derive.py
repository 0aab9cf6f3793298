"""Derived keys: HKDF as RFC 5869 has it, computed here a second time."""

import hashlib
import hmac

import pytest

from config import Secret
from service.auth.derive import Derived, _expand

ROOT = "r" * 32


def hkdf(root: bytes, info: bytes, length: int = 32) -> bytes:
    """Extract with a salt of zeros, then expand (RFC 5869, 2.2 and 2.3)."""
    key = hmac.new(bytes(32), root, hashlib.sha256).digest()
    block, out = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.new(key, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
    return out[:length]


def test_the_second_computation_is_right():
    """RFC 5869, test case 3: no salt, no info."""
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    assert hkdf(b"\x0b" * 22, b"", 42).hex() == expected


@pytest.mark.parametrize("root", [ROOT, "ü" * 40, "x" * 5000])
def test_the_pepper_is_hkdf_of_the_root(root):
    assert Derived(Secret(root)).pepper == hkdf(root.encode(), b"parley/api-key pepper")


def test_a_pseudonym_is_an_hmac_under_a_key_of_its_own():
    key = hkdf(ROOT.encode(), b"parley/user pseudonym")
    expected = hmac.new(key, b"ann", hashlib.sha256).hexdigest()[:32]
    assert Derived(Secret(ROOT)).pseudonym("ann") == expected


def test_the_session_key_is_hkdf_of_the_root():
    assert Derived(Secret(ROOT)).sessions.newest == hkdf(ROOT.encode(), b"parley/session cookie")


def test_each_purpose_has_its_own_key():
    root = Secret(ROOT)
    keys = {_expand(root, purpose) for purpose in ("a", "b", "api-key pepper", "user pseudonym")}
    assert len(keys) == 4
    assert all(len(key) == 32 and key != ROOT.encode() for key in keys)


def test_pseudonyms_are_stable_and_differ_by_user_and_installation():
    one, again, other = (Derived(Secret(root)) for root in (ROOT, ROOT, "s" * 32))
    assert one.pseudonym("ann") == again.pseudonym("ann")
    names = [one.pseudonym(user) for user in ("ann", "Ann", "ann ", "bob", "")] + [other.pseudonym("ann")]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("user", ["ann", "ann@example.org", "\ud800", "\x00", "x" * 100_000])
def test_a_pseudonym_says_nothing_of_the_user(user):
    said = Derived(Secret(ROOT)).pseudonym(user)
    assert len(said) == 32
    assert set(said) <= set("0123456789abcdef")
    assert user.encode("utf-8", "surrogatepass").hex() not in said


def test_users_that_begin_alike_have_nothing_in_common():
    derived = Derived(Secret(ROOT))
    first, second = derived.pseudonym("department-7-ann"), derived.pseudonym("department-7-bob")
    assert sum(a == b for a, b in zip(first, second, strict=True)) < 16


def test_no_key_shows_itself():
    derived = Derived(Secret(ROOT))
    assert ROOT not in repr(vars(derived))
