"""Encrypts the bodies of one writer's frames: AES-256-GCM under a key that only this writer has.

Refuses a body that is not the very one written: by this writer, for this audit log, under this number. The
nonce is the frame's number, which no writer uses for two bodies; the same frame again is the same bytes.
"""

from collections.abc import Sequence
from contextlib import suppress

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

    `keys` are the journal's, any secret bytes: the first seals, and what any of them sealed is unsealed.
    `writer` and `log_id` are 32 hexadecimal digits each.
    """

    def __init__(self, keys: Sequence[bytes], writer: str, log_id: str) -> None:
        self._bound = writer.encode() + log_id.encode()
        self._writer, self._keys = writer, tuple(keys)
        self._aeads = tuple(map(self._made, keys))

    def rotate(self, key: bytes) -> None:
        """Seal with this key from now on; no other is forgotten: what it sealed may still wait."""
        others = [each for each in self._keys if each != key]
        self._keys = (key, *others)
        self._aeads = tuple(map(self._made, self._keys))

    def _made(self, key: bytes) -> AESGCM:
        derivation = HKDF(SHA256(), KEY_BYTES, salt=None, info=PURPOSE + self._writer.encode())
        return AESGCM(derivation.derive(key))

    def seal(self, seq: int, plain: bytes) -> bytes:
        """The body of frame `seq`."""
        number = seq.to_bytes(_SEQ_BYTES)
        return self._aeads[0].encrypt(number.rjust(_NONCE_BYTES, b"\0"), plain, self._bound + number)

    def unseal(self, seq: int, body: bytes) -> bytes | None:
        """What was sealed, or None where the body is not ours."""
        number = seq.to_bytes(_SEQ_BYTES)
        for aead in self._aeads:
            with suppress(InvalidTag):
                return aead.decrypt(number.rjust(_NONCE_BYTES, b"\0"), body, self._bound + number)
        return None
