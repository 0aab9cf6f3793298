"""Encrypts the bodies of one writer's frames: AES-256-GCM under a key that only this writer has.

Refuses a body that is not the very one written: by this writer, for this audit log, under this number. The
nonce is the frame's number, which no writer uses for two bodies; the same frame again is the same bytes.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PURPOSE = b"parley/journal"
KEY_BYTES = 32
_NONCE_BYTES = 12
_SEQ_BYTES = 8


class Cipher:
    """The cipher of one writer.

    `key` is the journal's key, any secret bytes; `writer` and `log_id` are 32 hexadecimal digits each.
    """

    def __init__(self, key: bytes, writer: str, log_id: str) -> None:
        derivation = HKDF(SHA256(), KEY_BYTES, salt=None, info=PURPOSE + writer.encode())
        self._aead = AESGCM(derivation.derive(key))
        self._bound = writer.encode() + log_id.encode()

    def seal(self, seq: int, plain: bytes) -> bytes:
        """The body of frame `seq`."""
        number = seq.to_bytes(_SEQ_BYTES)
        return self._aead.encrypt(number.rjust(_NONCE_BYTES, b"\0"), plain, self._bound + number)

    def unseal(self, seq: int, body: bytes) -> bytes | None:
        """What was sealed, or None where the body is not ours."""
        number = seq.to_bytes(_SEQ_BYTES)
        try:
            return self._aead.decrypt(number.rjust(_NONCE_BYTES, b"\0"), body, self._bound + number)
        except InvalidTag:
            return None
