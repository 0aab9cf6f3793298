"""Tokens that must not be taken, each with what is wrong with it, for any algorithm.

Refuses to guess a key: the forger knows everything public, and sometimes the issuer itself signed badly.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.service.auth.forged_claims import claims
from tests.service.auth.forged_texts import signatures, texts
from tests.service.auth.mint import Mint, b64, packed


def forged(mint: Mint, url: str, ahead: int = 31) -> dict[str, str]:
    """All of them; `url` is where a forger publishes keys, `ahead` the seconds of what is not yet."""
    made = (
        claims(mint, ahead),
        _headers(mint, url),
        _own_words(mint),
        _algorithms(mint),
        texts(mint),
        signatures(mint),
    )
    return {f"{mint.algorithm}: {name}": token for part in made for name, token in part}


def _headers(mint: Mint, url: str) -> Iterator[tuple[str, str]]:
    attacker = Mint(mint.algorithm if mint.algorithm != "HS256" else "ES256", "theirs")
    for name in ("jku", "x5u"):
        for who, by in (("", attacker), (", rightly signed", mint)):
            yield (
                f"{name}{who}",
                by.token(header=mint.header | {name: url, "kid": "theirs", "alg": mint.algorithm}),
            )
    yield "jwk", attacker.token(header=mint.header | {"jwk": attacker.jwk})
    yield "x5c", attacker.token(header=mint.header | {"x5c": [attacker.pem]})


def _own_words(mint: Mint) -> Iterator[tuple[str, str]]:
    extra: dict[str, Any] = {
        "crit": ["exp"],
        "b64": False,
        "zip": "DEF",
        "cty": "JWT",
        "jwk": {},
        "x5c": [],
    }
    for name, value in extra.items():
        yield f"{name} {value}", mint.token(header=mint.header | {name: value})
    yield "crit of nothing", mint.token(header=mint.header | {"crit": []})
    yield "b64 in crit", mint.token(header=mint.header | {"b64": False, "crit": ["b64"]})
    for kind in ("JWE", "dpop+jwt", "", " JWT", "JWT ", 1, None, ["JWT"], "JWT\0"):
        yield f"typ {kind!r}", mint.token(header=mint.header | {"typ": kind})
    for kid in (1, None, [], {}, True):
        yield f"kid {kid!r}", mint.token(header=mint.header | {"kid": kid})
    yield "alg twice", mint.token(header=f'{{"alg":"none","alg":"{mint.algorithm}"}}'.encode())
    yield "alg twice, escaped", mint.token(header=f'{{"\\u0061lg":"none","alg":"{mint.algorithm}"}}'.encode())
    twice = json.dumps(mint.claims())[:-1] + ', "role": "AUDIT_HEAD"}'
    yield "role twice", mint.token(twice.encode())
    yield "a deep header", mint.token(header=b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}")


def _algorithms(mint: Mint) -> Iterator[tuple[str, str]]:
    good = mint.claims()
    for name in ("none", "None", "NONE", "nOnE", "", None, 0, mint.algorithm.lower(), f"{mint.algorithm} "):
        unsigned = f"{b64(packed({**mint.header, 'alg': name}))}.{b64(packed(good))}."
        yield f"alg {name!r}, unsigned", unsigned
        yield f"alg {name!r}, signed", mint.token(header=mint.header | {"alg": name})
    yield "no alg", mint.token(header={"typ": "JWT"})
    for other in ("HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"):
        if other != mint.algorithm:
            yield f"called {other}", mint.token(header=mint.header | {"alg": other})
    for what, secret in _public_secrets(mint):
        for called in ("HS256", mint.algorithm):
            message = f"{b64(packed({**mint.header, 'alg': called}))}.{b64(packed(good))}"
            mac = hmac.new(secret, message.encode(), hashlib.sha256).digest()
            yield f"HMAC under {what}, called {called}", f"{message}.{b64(mac)}"


def _public_secrets(mint: Mint) -> Iterator[tuple[str, bytes]]:
    yield "nothing", b""
    yield "a guess", b"secret"
    if mint.algorithm != "HS256":
        pem = mint.pem.encode()
        yield "the public key", pem
        yield "the public key without its last line end", pem.rstrip()
        yield (
            "the public key in DER",
            mint.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        )
        yield "the JWK", json.dumps(mint.jwk).encode()
