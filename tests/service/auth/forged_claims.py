"""Claims that must not be taken, however well they are signed.

Refuses nothing: an issuer may sign anything by mistake.
"""

import json
from collections.abc import Iterator

from tests.service.auth.mint import Mint, packed

REQUIRED = ("iss", "aud", "sub", "role", "exp")
TYPES = {"null": None, "a number": 7, "true": True, "a list": [], "an object": {}, "a list of lists": [["x"]]}
TIMES = ("exp", "nbf", "iat")

NAMES = {
    "empty": "",
    "a blank": " ",
    "two words": "ann smith",
    "a tab": "ann\tsmith",
    "a line end": "ann\n",
    "a NUL": "ann\0",
    "a control character": "ann\x1b",
    "DEL": "ann\x7f",
    "129 characters": "a" * 129,
    "half a pair": "ann\ud800",
    "a hard blank": "ann\u00a0smith",
    "a line separator": "ann\u2028",
    "a next line": "ann\u0085",
}
ROLES = {
    "empty": "",
    "small": "cfo",
    "two": "CFO AUDIT_HEAD",
    "a comma": "CFO,AUDIT_HEAD",
    "a line end": "CFO\n",
    "33 characters": "A" * 33,
    "a digit first": "1CFO",
    "Cyrillic": "\u0410UDIT_HEAD",
    "wide": "\uff23\uff26\uff2f",
}


def claims(mint: Mint, ahead: int) -> Iterator[tuple[str, str]]:
    """Each with what is wrong with it; `ahead` is the seconds of what is not yet."""
    yield from _required(mint)
    yield from _times(mint, ahead)
    yield from _parties(mint)


def _required(mint: Mint) -> Iterator[tuple[str, str]]:
    good = mint.claims()
    for name in REQUIRED:
        yield f"no {name}", mint.token({key: value for key, value in good.items() if key != name})
        for kind, value in TYPES.items():
            if not (name == "exp" and kind == "a number"):
                yield f"{name} {kind}", mint.token(**{name: value})
    others = {key: value for key, value in good.items() if key != "role"}
    yield "roles in the plural", mint.token(others | {"roles": ["CFO"]})
    yield "scope a list", mint.token(scope=["audit:content"])


def _times(mint: Mint, ahead: int) -> Iterator[tuple[str, str]]:
    good = mint.claims()
    now = good["iat"]
    for name in TIMES:
        yield f"{name} a word", mint.token(**{name: str(good["exp"])})
        yield f"{name} negative", mint.token(**{name: -1})
        yield f"{name} beyond all years", mint.token(**{name: 10**18})
        yield f"{name} of 400 digits", mint.token(packed(good | {name: 10**400}))
        for constant in ("NaN", "Infinity", "1e999"):
            text = json.dumps(good | {name: "@"}).replace('"@"', constant)
            yield f"{name} {constant}", mint.token(text.encode())
    for past in (31, 3_600, now):
        said = f"{past} s" if past <= 3_600 else "all of time"
        yield f"expired {said} ago", mint.token(exp=now - past)
    yield "not before", mint.token(nbf=now + ahead)
    yield "issued in the future", mint.token(iat=now + ahead)


def _parties(mint: Mint) -> Iterator[tuple[str, str]]:
    for wrong in ("Parley", "parley ", "parley/", "", "other", ["parley"]):
        yield f"iss {wrong!r}", mint.token(iss=wrong)
    for wrong in (
        "Parley",
        "parley/",
        "",
        "other",
        ["other"],
        ["other", "Parley"],
        ["parley", 1],
        "parley,x",
    ):
        yield f"aud {wrong!r}", mint.token(aud=wrong)
    for what, value in NAMES.items():
        yield f"sub with {what}", mint.token(sub=value)
    for what, value in ROLES.items():
        yield f"role {what}", mint.token(role=value)
