"""Public keys of an issuer: which are taken from PEM and from a set, and which never."""

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from service.auth.public_keys import MOST_KEYS, key_set, public_key
from tests.service.auth.mint import Mint

PUBLIC = ("EdDSA", "ES256", "RS256")
MINTS = {algorithm: Mint(algorithm, f"kid of {algorithm}") for algorithm in PUBLIC}


def pem(private):
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def read(*entries, algorithm="ES256"):
    return key_set(json.dumps({"keys": entries}).encode(), algorithm)


@pytest.mark.parametrize("algorithm", PUBLIC)
def test_pem_is_read_with_its_line_ends_written_in_any_way(algorithm):
    mint = MINTS[algorithm]
    for text in (mint.pem, mint.pem.replace("\n", "\\n"), mint.pem.replace("\n", "\r\n"), mint.pem.strip()):
        key = public_key(text, algorithm)
        assert key.public_numbers if algorithm != "EdDSA" else key.public_bytes_raw
        assert key == mint.public


@pytest.mark.parametrize("algorithm", PUBLIC)
@pytest.mark.parametrize("other", PUBLIC)
def test_a_key_of_another_algorithm_is_none(algorithm, other):
    if algorithm != other:
        with pytest.raises(ValueError, match=f"no public key of {algorithm}"):
            public_key(MINTS[other].pem, algorithm)


@pytest.mark.parametrize(
    ("algorithm", "text"),
    [
        ("ES256", pem(generate_private_key(SECP384R1()))),
        ("ES256", pem(generate_private_key(SECP256K1()))),
        ("EdDSA", pem(Ed448PrivateKey.generate())),
        ("RS256", pem(generate_rsa(65537, 1024))),  # noqa: S505 - weak on purpose
        ("HS256", MINTS["RS256"].pem),
        ("ES256", ""),
        ("ES256", "key"),
        ("ES256", "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"),
        ("ES256", MINTS["ES256"].pem[:-40]),
        (
            "ES256",
            MINTS["ES256"].key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        ),
    ],
)
def test_a_weak_a_broken_and_a_private_key_are_none(algorithm, text):
    with pytest.raises(ValueError, match="no public key"):
        public_key(text, algorithm)


@pytest.mark.parametrize("algorithm", PUBLIC)
def test_of_a_set_only_the_keys_of_our_algorithm_are_taken(algorithm):
    found = read(*(mint.jwk for mint in MINTS.values()), algorithm=algorithm)
    assert found == {f"kid of {algorithm}": MINTS[algorithm].public}


def test_a_key_that_does_not_say_what_it_is_for_is_for_everything():
    entry = {name: MINTS["ES256"].jwk[name] for name in ("kty", "crv", "x", "y")}
    assert read(entry) == {None: MINTS["ES256"].public}
    assert read(entry | {"key_ops": ["verify"]}) == {None: MINTS["ES256"].public}
    assert read(entry | {"kid": "7", "key_ops": ["sign", "verify"]}) == {"7": MINTS["ES256"].public}


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"},
        {"use": 7},
        {"alg": "ES384"},
        {"alg": "HS256"},
        {"alg": 7},
        {"key_ops": ["sign"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"d": "AAAA"},
        {"kid": 7},
        {"kid": ["7"]},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "RSA"},
        {"kty": None},
        {"kty": []},
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"crv": None},
        {"x": ""},
        {"x": "AAAA"},
        {"x": 7},
        {"x": None},
        {"y": "!"},
        {"y": "AAAA" * 11},
    ],
)
def test_an_entry_that_is_not_for_us_is_skipped_and_the_others_stay(changes):
    good = Mint("ES256", "good")
    assert read(MINTS["ES256"].jwk | changes, good.jwk) == {"good": good.public}


@pytest.mark.parametrize("algorithm", PUBLIC)
def test_a_private_key_in_a_set_is_everybodys_and_so_nobodys(algorithm):
    private = jwt.get_algorithm_by_name(algorithm).to_jwk(MINTS[algorithm].key, as_dict=True)
    assert "d" in private
    assert read({**MINTS[algorithm].jwk, **private, "key_ops": ["verify"]}, algorithm=algorithm) == {}


@pytest.mark.parametrize("entry", [None, 7, "key", [], [[]], {}, True])
def test_an_entry_that_is_no_object_is_skipped(entry):
    assert read(entry, MINTS["ES256"].jwk) == {"kid of ES256": MINTS["ES256"].public}


def test_a_set_may_be_empty_and_is_looked_at_for_so_long_only():
    assert read() == {}
    assert read(*[{}] * (MOST_KEYS - 1), MINTS["ES256"].jwk) != {}
    assert read(*[{}] * MOST_KEYS, MINTS["ES256"].jwk) == {}


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": null}', b"<html>", b'{"keys": [], "keys": []}'],
)
def test_what_is_no_set_is_a_value_error(document):
    with pytest.raises(ValueError, match=r"."):
        key_set(document, "ES256")


JSON = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2)


@pytest.mark.parametrize("algorithm", PUBLIC)
@given(changes=st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "alg", "d"]), JSON))
def test_whatever_an_entry_holds_is_a_key_or_skipped(algorithm, changes):
    found = read(MINTS[algorithm].jwk | changes, algorithm=algorithm)
    assert len(found) <= 1
