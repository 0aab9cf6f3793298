"""Makes tokens: good ones, and any other with a signature that is right for what it says.

Refuses nothing: a forger does not either.
"""

import json
import time
from base64 import urlsafe_b64encode
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SECRET = "the secret of an issuer, 32 characters or more"
ISSUER = AUDIENCE = "parley"
ALGORITHMS = ("HS256", "EdDSA", "ES256", "RS256")

MAKE = {
    "HS256": SECRET.encode,
    "EdDSA": Ed25519PrivateKey.generate,
    "ES256": lambda: generate_private_key(SECP256R1()),
    "RS256": lambda: generate_rsa(65537, 2048),
}


def b64(data: bytes) -> str:
    """base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def packed(value: Any) -> bytes:
    """As JSON; bytes are taken as they are."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


class Mint:
    """One issuer with one key of one algorithm; its clock stands where `now` is given."""

    def __init__(
        self, algorithm: str, kid: str | None = None, key: Any = None, now: int | None = None
    ) -> None:
        self.algorithm, self.kid, self.now = algorithm, kid, now
        self.key = key or MAKE[algorithm]()

    @property
    def public(self) -> Any:
        """What verifies: the public key, or the secret itself."""
        return self.key if self.algorithm == "HS256" else self.key.public_key()

    @property
    def pem(self) -> str:
        """The public key as text."""
        return self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as an entry of a set."""
        entry = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.public, as_dict=True)
        entry = {name: value for name, value in entry.items() if name != "key_ops"}
        return {**entry, "alg": self.algorithm, "use": "sig"} | ({"kid": self.kid} if self.kid else {})

    @property
    def header(self) -> dict[str, Any]:
        """The header of a good token."""
        return {"alg": self.algorithm, "typ": "JWT"} | ({"kid": self.kid} if self.kid else {})

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token, or others."""
        now = self.now or int(time.time())
        good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "role": "CFO", "iat": now, "exp": now + 300}
        return good | changes

    def sign(self, message: bytes) -> bytes:
        """The right signature of anything."""
        return jwt.get_algorithm_by_name(self.algorithm).sign(message, self.key)

    def token(self, claims: Any = None, header: Any = None, **changes: Any) -> str:
        """A token of these claims and headers, or with some of the good ones changed."""
        header = self.header if header is None else header
        claims = self.claims(**changes) if claims is None else claims
        message = f"{b64(packed(header))}.{b64(packed(claims))}"
        return f"{message}.{b64(self.sign(message.encode()))}"
