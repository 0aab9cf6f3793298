"""Keys in every form they may be given, and what is no key."""

from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from service.seal.keys import (
    KeyUnreadable,
    PublicKey,
    derived,
    pem_of,
    private_key,
    public_key,
    public_of,
    vkey_of,
)

SEED = bytes(range(200, 232))
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
RAW = KEY.public_key().public_bytes_raw()
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
OTHER = generate_private_key(SECP256R1())
VKEY_ID = sha256(b"log.example\n\x01" + RAW).hexdigest()[:8]
VKEY = f"log.example+{VKEY_ID}+{b64encode(bytes([1]) + RAW).decode()}"


@pytest.mark.parametrize(
    "text",
    [
        PEM,
        PEM.replace("\n", "\\n"),
        PEM.replace("\n", "\r\n"),
        f"  {PEM}  ",
        SEED.hex(),
        SEED.hex().upper(),
        f" {SEED.hex()}\n",
        b64encode(SEED).decode(),
        b64encode(SEED).decode().rstrip("="),
        urlsafe_b64encode(SEED).decode(),
    ],
)
def test_a_private_key_is_read_in_every_form(text):
    assert private_key(text).private_bytes_raw() == SEED


@pytest.mark.parametrize(
    "text",
    [
        pem_of(PublicKey(RAW)),
        pem_of(PublicKey(RAW)).replace("\n", "\\n"),
        RAW.hex(),
        b64encode(RAW).decode(),
        urlsafe_b64encode(RAW).decode().rstrip("="),
    ],
)
def test_a_public_key_is_read_in_every_form(text):
    assert public_key(text) == PublicKey(RAW)


def test_a_verifier_key_is_what_c2sp_has_it_and_names_its_log():
    assert vkey_of(PublicKey(RAW), "log.example") == VKEY
    assert public_key(f"{VKEY}\n") == PublicKey(RAW, "log.example")


def test_pem_is_that_of_others():
    expected = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert pem_of(PublicKey(RAW)) == expected


def test_the_public_half_belongs_to_the_private_one():
    assert public_of(private_key(SEED.hex())) == PublicKey(RAW)
    assert public_of(derived(SEED)) == PublicKey(RAW)


PASSWORD = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")).decode()
EC = OTHER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
EC_PUBLIC = OTHER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
BROKEN = PEM.replace("MC4", "MC5")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "secret words",
        SEED.hex()[:-1],
        SEED.hex() + "00",
        b64encode(SEED[:31]).decode(),
        EC,
        PASSWORD,
        BROKEN,
        pem_of(PublicKey(RAW)),
        "é" * 43,
        "-----\udcff-----",
    ],
)
def test_what_is_no_private_key_is_refused_and_not_repeated(text):
    _refuses(private_key, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret words",
        RAW.hex()[:-1],
        EC_PUBLIC,
        PEM,
        VKEY[:-4],
        VKEY.replace("log", "lag"),
        VKEY.replace("+", " "),
        "log+00000000+AQ==",
        "log+00000000+A",
        "-----\udcff-----",
    ],
)
def test_what_is_no_public_key_is_refused_and_not_repeated(text):
    _refuses(public_key, text)


def _refuses(read, text):
    with pytest.raises(KeyUnreadable) as told:
        read(text)
    said = f"{told.value} {told.value.detail} {told.value.__cause__}"
    assert told.value.detail
    assert told.value.__suppress_context__ or told.value.__context__ is None
    words = [word for word in text.split() if len(word) > 6]
    assert not [word for word in words if word in said]


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_a_seed_has_32_bytes(seed):
    with pytest.raises(KeyUnreadable):
        derived(seed)


@pytest.mark.parametrize("kind", [0, 2, 4])
def test_a_verifier_key_of_another_kind_is_refused(kind):
    said = b64encode(bytes([kind]) + RAW).decode()
    with pytest.raises(KeyUnreadable):
        public_key(f"log.example+{VKEY_ID}+{said}")


def test_base64_of_the_web_is_read_as_well():
    seed = b"\xfb\xef\xff" * 10 + b"ab"
    assert "-" in urlsafe_b64encode(seed).decode()
    assert "_" in urlsafe_b64encode(seed).decode()
    for text in (urlsafe_b64encode(seed).decode(), b64encode(seed).decode()):
        assert private_key(text).private_bytes_raw() == seed
