"""Texts that are nearly a good token, and signatures that are nearly right.

Refuses to know the key, but for signing rubbish well.
"""

import json
from collections.abc import Iterator

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.service.auth.mint import Mint, b64, packed

ANOTHER_SECRET = b"another secret of 32 characters!"


def texts(mint: Mint) -> Iterator[tuple[str, str]]:
    """Each with what is wrong with it."""
    good = mint.token()
    yield from _rearranged(good).items()
    yield from _decorated(good).items()
    yield from _damaged(good)
    yield "over 16 kB", mint.token(padding="x" * 16_384)
    for what, text in _payloads(mint).items():
        yield f"payload {what}", mint.token(text)


def _rearranged(good: str) -> dict[str, str]:
    header, payload, signature = good.split(".")
    parts = {"payload": payload, "protected": header, "signature": signature}
    return {
        "nothing": "",
        "dots": "..",
        "one dot too many": f"{good}.",
        "a dot before": f".{good}",
        "four parts": f"{good}.{signature}",
        "five parts": f"{header}.{payload}.{signature}.{payload}.{signature}",
        "two parts": f"{header}.{payload}",
        "one part": header,
        "no signature": f"{header}.{payload}.",
        "no payload": f"{header}..{signature}",
        "no header": f".{payload}.{signature}",
        "JSON serialization": json.dumps(parts),
        "quoted": f'"{good}"',
        "twice": f"{good},{good}",
    }


def _decorated(good: str) -> dict[str, str]:
    header, payload, signature = good.split(".")
    return {
        "a blank before": f" {good}",
        "a tab before": f"\t{good}",
        "a blank after": f"{good} ",
        "a line end after": f"{good}\n",
        "a blank within": f"{header}. {payload}.{signature}",
        "a line end within": f"{header}.{payload[:9]}\n{payload[9:]}.{signature}",
        "padding": f"{good}=",
        "more padding": f"{good}==",
        "another alphabet": f"{header}.{payload}.+/{signature[2:]}",
        "rubbish after": f"{good}!",
        "letters of another script": f"{header}.{payload}.\u0430{signature[1:]}",
        "wide digits": f"{header}.{payload}.\uff11{signature[1:]}",
    }


def _damaged(good: str) -> Iterator[tuple[str, str]]:
    for name, part in zip(("header", "payload", "signature"), good.split("."), strict=True):
        for how, other in (("cut", part[:-1]), ("halved", part[: len(part) // 2]), ("longer", f"{part}A")):
            yield f"{name} {how}", good.replace(part, other)
        middle = len(part) // 2
        flipped = part[:middle] + ("A" if part[middle] != "A" else "B") + part[middle + 1 :]
        yield f"{name} with another letter", good.replace(part, flipped)


def _payloads(mint: Mint) -> dict[str, bytes]:
    good = json.dumps(mint.claims())
    return {
        "a list": f"[{good}]".encode(),
        "a string": json.dumps(good).encode(),
        "null": b"null",
        "a number": b"7",
        "empty object": b"{}",
        "not JSON": b"iss=parley",
        "not UTF-8": good.encode()[:-1] + b', "x": "\xff"}',
        "UTF-16": good.encode("utf-16"),
        "with a byte order mark": b"\xef\xbb\xbf" + good.encode(),
        "rubbish after it": good.encode() + b"x",
        "twice": good.encode() * 2,
        "deep": good.encode()[:-1] + b', "x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    }


def signatures(mint: Mint) -> Iterator[tuple[str, str]]:
    """Each with what is wrong with it."""
    header, payload, signature = mint.token().split(".")
    message = f"{header}.{payload}"
    raw = mint.sign(message.encode())
    other = Mint(mint.algorithm, mint.kid, ANOTHER_SECRET if mint.algorithm == "HS256" else None)
    promoted = b64(packed(mint.claims(role="AUDIT_HEAD")))
    yield "another key", other.token()
    yield "another's signature", f"{message}.{other.token().rpartition('.')[2]}"
    yield "the signature of other claims", f"{header}.{promoted}.{signature}"
    for what, wrong in {
        "zeros": bytes(64),
        "ones": bytes([255] * 64),
        "a signature cut by a byte": raw[:-1],
        "a signature with a byte after it": raw + bytes(1),
        "a signature with a byte before it": bytes(1) + raw,
        "a signature twice": raw * 2,
    }.items():
        yield what, f"{message}.{b64(wrong)}"
    if mint.algorithm == "ES256":
        yield from _curves(message, raw)


def _curves(message: str, raw: bytes) -> Iterator[tuple[str, str]]:
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    yield "a signature in DER", f"{message}.{b64(der)}"
    signed = jwt.get_algorithm_by_name("ES384").sign(message.encode(), generate_private_key(SECP384R1()))
    yield "another curve", f"{message}.{b64(signed)}"
    yield "another curve, as long", f"{message}.{b64(signed[:64])}"
