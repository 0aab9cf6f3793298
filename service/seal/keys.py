"""The Ed25519 keys of the log, out of a setting's text: PEM, hex, base64, or C2SP's verifier key.

Refuses keys of any other kind, and never repeats what it was given: it may be a secret.
"""

import re
from base64 import b64encode, urlsafe_b64decode
from hashlib import sha256

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from msgspec import Struct

from service.errors import ServiceError

KEY_BYTES = 32
ED25519 = b"\x01"
"""The kind of key and signature in a signed note (C2SP signed-note)."""

KEY_ID_BYTES = 4
VKEY = re.compile(r"(?P<name>[^\s+\ud800-\udfff]+)\+(?P<id>[0-9a-f]{8})\+(?P<key>[A-Za-z0-9+/]+={0,2})")
HEX = re.compile(r"[0-9a-fA-F]{64}")
BASE64 = re.compile(r"[A-Za-z0-9+/_-]{43}=?")


class KeyUnreadable(ServiceError):
    """A text is no Ed25519 key in any form we read."""


class PublicKey(Struct, frozen=True):
    """A public key of 32 bytes; `name` is the log it is for, where its text says so."""

    raw: bytes
    name: str | None = None


def private_key(text: str) -> Ed25519PrivateKey:
    """The private key of PEM (PKCS#8), or of 32 bytes as hex or base64.

    Line breaks of PEM may be written as a backslash and an n.

    Raises:
        KeyUnreadable: it is none of these.
    """
    if "-----" in text:
        return _private_of_pem(text)
    return derived(_raw(text, "The private key is not PEM, nor 32 bytes as hex or base64."))


def derived(seed: bytes) -> Ed25519PrivateKey:
    """The private key of a seed of 32 bytes.

    Raises:
        KeyUnreadable: it has another length.
    """
    if len(seed) != KEY_BYTES:
        raise KeyUnreadable("The seed of a private key is 32 bytes.")
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_key(text: str) -> PublicKey:
    """The public key of PEM, of a C2SP verifier key (`name+id+base64`), or of 32 bytes as hex or base64.

    Raises:
        KeyUnreadable: it is none of these.
    """
    if "-----" in text:
        return PublicKey(_public_of_pem(text))
    if found := VKEY.fullmatch(text.strip()):
        return _public_of_vkey(found)
    return PublicKey(_valid(_raw(text, "The public key is not PEM, vkey, nor 32 bytes as hex or base64.")))


def public_of(private: Ed25519PrivateKey) -> PublicKey:
    """The public half."""
    return PublicKey(private.public_key().public_bytes_raw())


def pem_of(key: PublicKey) -> str:
    """A public key as PEM (SubjectPublicKeyInfo)."""
    public = Ed25519PublicKey.from_public_bytes(key.raw)
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def vkey_of(key: PublicKey, name: str) -> str:
    """A public key as a C2SP verifier key: `name+id+base64`."""
    return f"{name}+{key_id(name, key.raw).hex()}+{b64encode(ED25519 + key.raw).decode()}"


def key_id(name: str, raw: bytes) -> bytes:
    """The 4 bytes by which a signed note names the key that signed it (C2SP signed-note)."""
    return sha256(name.encode() + b"\n" + ED25519 + raw).digest()[:KEY_ID_BYTES]


def _private_of_pem(text: str) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(_pem(text), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnreadable("The PEM holds no private key that can be read without a password.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnreadable("The private key is none of Ed25519.")
    return key


def _public_of_pem(text: str) -> bytes:
    try:
        key = load_pem_public_key(_pem(text))
    except (ValueError, UnsupportedAlgorithm):
        raise KeyUnreadable("The PEM holds no public key.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnreadable("The public key is none of Ed25519.")
    return key.public_bytes_raw()


def _public_of_vkey(found: re.Match[str]) -> PublicKey:
    key = _decoded(found["key"])
    raw, name = key[1:], found["name"]
    if key[:1] != ED25519 or key_id(name, raw).hex() != found["id"]:
        raise KeyUnreadable("The verifier key is not one of Ed25519, or its id belongs to another.")
    return PublicKey(_valid(raw), name)


def _raw(text: str, otherwise: str) -> bytes:
    said = text.strip()
    if HEX.fullmatch(said):
        return bytes.fromhex(said)
    if not BASE64.fullmatch(said):
        raise KeyUnreadable(otherwise)
    return _decoded(said)


def _decoded(said: str) -> bytes:
    bare = said.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except ValueError:
        raise KeyUnreadable("The key is not base64.") from None


def _valid(raw: bytes) -> bytes:
    try:
        Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        raise KeyUnreadable("The public key is none of Ed25519.") from None
    return raw


def _pem(text: str) -> bytes:
    return text.replace("\\n", "\n").strip().encode("utf-8", "replace")
