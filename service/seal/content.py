"""Text that can be erased: sealed under its subject's data key, with a commitment that needs its salt.

Refuses to open what was moved: a wrapped key opens for its subject only, a sealed text for its event only.
Erasing is forgetting the data key and the salt.
"""

import hmac
import os
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.errors import ServiceError

KEY_BYTES, NONCE_BYTES, SALT_BYTES = 32, 12, 32
VERSION = b"\x01"
"""The first byte of all that is sealed: AES-256-GCM, then the nonce, then the ciphertext with its tag."""


BLOCK = 64
"""Bytes that SHA-256 takes at a time, to which HMAC fills a key up."""
INNER, OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
INNER_FILL, OUTER_FILL = INNER[:1] * BLOCK, OUTER[:1] * BLOCK


class ContentUnreadable(ServiceError):
    """Sealed bytes do not open: another key, another subject or event, or they were changed."""


def new_data_key() -> bytes:
    """A key for one subject's texts: 32 random bytes."""
    return os.urandom(KEY_BYTES)


def new_salt() -> bytes:
    """A salt for one text's commitment: 32 random bytes."""
    return os.urandom(SALT_BYTES)


def key_id(master: bytes) -> str:
    """The name of a master key, kept beside what it wraps: 8 hex characters."""
    return sha256(master).hexdigest()[:8]


def wrap(master: bytes, data_key: bytes, subject_id: str) -> bytes:
    """The data key of a subject, sealed under the master key (32 bytes)."""
    return _seal(master, data_key, subject_id)


def unwrap(master: bytes, wrapped: bytes, subject_id: str) -> bytes:
    """The data key again.

    Raises:
        ContentUnreadable: it was wrapped under another master key, or for another subject.
    """
    return _open(master, wrapped, subject_id)


def seal_text(data_key: bytes, event_id: str, text: str) -> bytes:
    """The text of an event, sealed under its subject's data key."""
    return _seal(data_key, _utf8(text), event_id)


def open_text(data_key: bytes, event_id: str, sealed: bytes) -> str:
    """The text again.

    Raises:
        ContentUnreadable: it was sealed under another data key, or for another event.
    """
    try:
        return _open(data_key, sealed, event_id).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise ContentUnreadable("The content is no text.") from None


def commitment(salt: bytes, text: str) -> bytes:
    """What a row keeps of a text: HMAC-SHA256, 32 bytes; nobody guesses a text by it who lacks the salt."""
    return mac(salt, _utf8(text))


def mac(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104) out of two plain hashes: half of what OpenSSL takes to look HMAC up."""
    if len(key) > BLOCK:
        return hmac.digest(key, data, "sha256")
    fill = len(key)
    inner = sha256(key.translate(INNER) + INNER_FILL[fill:] + data).digest()
    return sha256(key.translate(OUTER) + OUTER_FILL[fill:] + inner).digest()


def _seal(key: bytes, data: bytes, belongs_to: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return VERSION + nonce + AESGCM(key).encrypt(nonce, data, _utf8(belongs_to))


def _open(key: bytes, sealed: bytes, belongs_to: str) -> bytes:
    version, nonce, data = sealed[:1], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    if version != VERSION or len(nonce) != NONCE_BYTES:
        raise ContentUnreadable("The content was sealed in a way this version does not know.")
    try:
        return AESGCM(key).decrypt(nonce, data, _utf8(belongs_to))
    except InvalidTag:
        raise ContentUnreadable("The content does not open with this key.") from None


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
