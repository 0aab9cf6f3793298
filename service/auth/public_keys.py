"""Public keys of an issuer, out of PEM text or a JWK Set.

Refuses keys of another algorithm or curve, weak ones, and those that are for something else.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from msgspec import Struct

from config.settings import Algorithm
from service.auth.json_object import read_object
from service.auth.tokens import key_of

LEAST_RSA_BITS = 2048
MOST_KEYS = 100
"""Keys of one set that are looked at."""


class Entry(Struct, frozen=True):
    """What a key of a set says it is for."""

    kid: str | None = None
    alg: str | None = None
    use: str = "sig"
    key_ops: tuple[str, ...] = ("verify",)

    def fits(self, algorithm: str) -> bool:
        """Whether it is for verifying this."""
        return self.use == "sig" and "verify" in self.key_ops and self.alg in {None, algorithm}


def public_key(pem: str, algorithm: Algorithm) -> Any:
    """A public key of its PEM text, in which line breaks may be written as a backslash and an n.

    Raises:
        ValueError: it is none, or none of that algorithm.
    """
    try:
        key = load_pem_public_key(pem.replace("\\n", "\n").encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("no public key in PEM") from error
    return _fitting(key, algorithm)


def key_set(document: bytes, algorithm: Algorithm) -> Mapping[str | None, Any]:
    """The keys of a JWK Set (RFC 7517) that verify this algorithm, by their ids.

    Raises:
        ValueError: it is no such set.
    """
    listed = read_object(document).get("keys")
    if not isinstance(listed, list):
        raise ValueError("no JWK Set")  # noqa: TRY004 - the text is wrong, not the program
    return dict(_known(listed[:MOST_KEYS], algorithm))  # pyright: ignore[reportUnknownArgumentType] - foreign JSON


def _known(listed: Sequence[Any], algorithm: Algorithm) -> Iterator[tuple[str | None, Any]]:
    for each in listed:
        try:
            entry = msgspec.convert(each, Entry)
            if entry.fits(algorithm):
                yield entry.kid, _fitting(key_of(each, algorithm), algorithm)
        except ValueError:  # msgspec's own is one
            continue  # a set may hold keys of any kind, for anybody


def _fitting(key: Any, algorithm: Algorithm) -> Any:
    """The key itself, where it is a public one; a set that tells a private one tells everybody."""
    fits = {
        "RS256": isinstance(key, RSAPublicKey) and key.key_size >= LEAST_RSA_BITS,
        "ES256": isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1),
        "EdDSA": isinstance(key, Ed25519PublicKey),
    }
    if not fits.get(algorithm):
        raise ValueError(f"no public key of {algorithm}")
    return key
