"""Forged tokens, cookies and keys in one figure: how many were tried, how many let anybody in.

Refuses to count what HTTP cannot carry: that is tried at the door itself, as is every algorithm.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from service.auth.keys import make_key
from service.auth.sessions import KID, LIFE, PARLEY
from service.auth.tokens import sign
from service.errors import Unauthenticated
from tests.conftest import TOLD
from tests.harness.service import Service
from tests.service.auth.forged import forged
from tests.service.auth.mint import ALGORITHMS, SECRET, Mint, b64
from tests.service.auth.test_authenticator import Doors, bearer, cookie

ASKED = "/api/v1/limits"
NOWHERE = "http://127.0.0.1:9"
LATER = 3_600
"""Seconds ahead, so that a slow run does not catch up with what is not yet."""
LEAST = 120
SETTINGS = {"AGENT_JWT_SECRET": SECRET, "AGENT_AUTH_FAILURES": "0"}


def tokens() -> Iterator[str]:
    """Of the issuer that is trusted, or of another with its name, for the algorithm that is set."""
    yield from forged(Mint("HS256", key=SECRET.encode()), NOWHERE, ahead=LATER).values()


def sessions() -> Iterator[str]:
    """Cookies that are called ours and are not: under keys that are guessed, or of an issuer that signs."""
    now = int(time.time())
    claims = {"iss": PARLEY, "aud": PARLEY, "sub": "ann", "role": "AUDIT_HEAD", "jti": "0" * 32}
    claims |= {"iat": now, "exp": now + LIFE}
    for key in (SECRET.encode(), b"\0" * 32, b"session cookie".ljust(32), secrets.token_bytes(32)):
        yield sign(claims, key, KID)
    yield from forged(Mint("HS256", KID, SECRET.encode()), NOWHERE, ahead=LATER).values()


def keys(good: str) -> Iterator[str]:
    """What is nearly a key, and what is one of another installation."""
    head, _, secret = good.rpartition("_")
    for place in (0, 1, 31, 32, 62, 63):
        for digit in "0fg".replace(secret[place], ""):
            yield f"{head}_{secret[:place]}{digit}{secret[place + 1 :]}"
    yield from (f"{head}_{char * 64}" for char in "0123456789abcdef")
    yield from (make_key(secrets.token_bytes(32)).key for _ in range(16))
    yield from (make_key(b"\0" * 32, head.removeprefix("parley_")).key, good[:-1], f"{good}0", good.upper())
    yield from (f"{head}_{secret[::-1]}", f"{head}_", "parley_", head, secret, f"{good}.", f"{good},{good}")
    yield from (b64(good.encode()), good.encode().hex(), good.replace("_", "-"), f"x{good}", f"{good} x")


def bare(text: str) -> bool:
    """Whether there are no blanks around it, which HTTP takes for nothing."""
    return text == text.strip()


def carried(texts: Iterator[str]) -> list[str]:
    """Those that HTTP can carry as they are."""
    return [each for each in texts if each and each.isascii() and each.isprintable() and bare(each)]


async def at_the_door(algorithm: str) -> Counter[bool]:
    """How many tokens that are forged for an algorithm are taken by the door itself."""
    mint, found = Mint(algorithm), Counter[bool]()
    doors = Doors(mint)
    assert (await doors.of(**bearer(mint.token()))).user_id == "ann"
    for token in filter(bare, forged(mint, NOWHERE, ahead=LATER).values()):
        for given in (bearer(token), cookie(token)):
            try:
                await doors.of(**given)
            except Unauthenticated:
                found[False] += 1
            else:
                found[True] += 1
    return found


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with Service(tmp_path_factory.mktemp("forged"), SETTINGS) as started:
        yield started


def over_http(service: Service) -> tuple[Counter[str], list[tuple[str, str]]]:
    """How many of each kind a service was sent, and those that it took."""
    good, tried, taken = service.api_key, Counter[str](), list[tuple[str, str]]()
    sent = {
        "tokens": (tokens(), (bearer, cookie)),
        "sessions": (sessions(), (cookie,)),
        "keys": (keys(good), (bearer, cookie)),
    }
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        for kind, (texts, carriers) in sent.items():
            for text in carried(texts):
                statuses = [client.get(ASKED, headers=carry(text)).status_code for carry in carriers]
                tried[kind] += len(statuses)
                taken += [(kind, text)] * sum(status not in {400, 401} for status in statuses)
        for text in (good, Mint("HS256", key=SECRET.encode()).token()):
            assert client.get(ASKED, headers=bearer(text)).status_code == 200
    return tried, taken


def test_nothing_that_is_forged_lets_anybody_in(service, record_property):
    tried, taken = over_http(service)
    doors = sum((asyncio.run(at_the_door(each)) for each in ALGORITHMS), Counter[bool]())
    figures = ", ".join(f"{number} {kind}" for kind, number in tried.items())
    said = f"forged: {figures} over HTTP, {doors[False]} tokens at the door of each algorithm"
    record_property(TOLD, f"{said}: {len(taken) + doors[True]} accepted")
    assert (taken, doors[True]) == ([], 0)
    assert min(*tried.values(), doors[False]) >= LEAST
