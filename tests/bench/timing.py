"""Whether the time of a refusal tells what was wrong: `python -m tests.bench.timing [SAMPLES]`, a table.

After dudect (Reparaz, Balasch, Verbauwhede 2017): two classes of inputs in random order, Welch's t of their
times, cropped at several percentiles; of |t| the largest is told. Above 4.5 the classes differ in time.
Refuses to pass or fail: it is a figure of one machine. A comparison that leaves early is beside it in the
same run, so that it can be seen that the measure sees one.
"""

import asyncio
import gc
import math
import platform
import random
import secrets
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from msgspec import Struct

from service.auth.keys import KeyDoor, make_key
from service.auth.sessions import KID, LIFE, PARLEY, Sessions
from service.auth.tokens import sign
from service.errors import Unauthenticated
from service.store.keys import StoredKey
from telemetry.recorder import microseconds

SAMPLES, BATCH, WARM = 200_000, 2_000, 2_000
CROPS = (50, 75, 90, 95, 99)
"""Percentiles of all times above which a time is left out: who was interrupted says nothing."""
NOTICED = 4.5
PEPPER, SESSION = secrets.token_bytes(32), secrets.token_bytes(32)
MADE = [make_key(PEPPER) for _ in range(64)]
STRANGE = [make_key(PEPPER).id for _ in MADE]
HELD = {
    key.id: StoredKey(id=key.id, user_id="ann", role="CFO", scopes=(), digest=key.digest, created_at=1)
    for key in MADE
}
RIGHT = {key.id: key.key[-64:] for key in MADE}


class Way(Struct, frozen=True):
    """What is timed, and the two classes of what it is given."""

    name: str
    ask: Callable[[str], Awaitable[object]]
    first: Callable[[], str]
    second: Callable[[], str]


class Kept:
    """The keys that were made."""

    async def find(self, key_id: str) -> StoredKey | None:
        """One by its id."""
        return HELD.get(key_id)


class Never:
    """A ledger that nobody gets to: every session here is refused before."""


def token(shared: int) -> str:
    """A session whose signature is right in so many digits, and in the next one is not."""
    now = int(time.time())
    claims = {"iss": PARLEY, "aud": PARLEY, "sub": "ann", "role": "CFO", "iat": now, "exp": now + LIFE}
    text, _, signature = sign(claims, SESSION, KID).rpartition(".")
    rest = "".join("A" if char != "A" else "B" for char in signature[shared:])
    return f"{text}.{signature[:shared]}{rest}"


def early(key: str) -> bool:
    """What nobody may write: it ends at the first difference."""
    right = RIGHT[key[7:23]]
    return all(one == other for one, other in zip(key[-64:], right, strict=True))


def ways() -> tuple[Way, ...]:
    """All that is timed."""
    door = KeyDoor(Kept(), (PEPPER,), str, microseconds)
    sessions = Sessions((SESSION,), Never(), microseconds)  # pyright: ignore[reportArgumentType]

    async def leaving(key: str) -> bool:
        return early(key)

    return (
        Way("API key: one digit wrong, or nearly all", door.identify, near, far),
        Way("API key: known id, or none", door.identify, far, partial(far, STRANGE)),
        Way("session: signature nearly right, or not", sessions.read, partial(token, 40), partial(token, 0)),
        Way("beside them: a comparison that leaves early", leaving, near, far),
    )


def near() -> str:
    """A key that is wrong in one of its last four digits."""
    key = secrets.choice(MADE)
    return _text(key.id, RIGHT[key.id])


def far(ids: Sequence[str] = tuple(RIGHT)) -> str:
    """One with another's secret, as wrong: both classes are of the same texts.

    Else a processor tells them apart: it learns what it is given often, and knows digits from letters.
    """
    number = secrets.randbelow(len(ids))
    return _text(ids[number], RIGHT[MADE[number - 1].id])


def _text(key_id: str, secret: str) -> str:
    place = 60 + secrets.randbelow(4)
    wrong = "0" if secret[place] != "0" else "1"
    return f"parley_{key_id}_{secret[:place]}{wrong}{secret[place + 1 :]}"


def copy(text: str) -> str:
    """The same text, elsewhere in memory: classes shall differ in nothing but what they say.

    All of a batch are made one after the other, whatever it took to think of them.
    """
    return "".join(list(text))


async def timed(way: Way, samples: int) -> tuple[list[int], list[int]]:
    """Nanoseconds of each, by class; which comes next is drawn."""
    found: tuple[list[int], list[int]] = ([], [])
    dice = random.Random(12)  # noqa: S311 - an order, no secret
    await _batch(way, [0, 1] * (WARM // 2), ([], []))
    for _ in range(0, samples, BATCH):
        gc.collect()
        await _batch(way, [dice.randrange(2) for _ in range(BATCH)], found)
    return found


async def _batch(way: Way, classes: Sequence[int], found: tuple[list[int], list[int]]) -> None:
    made = [(number, (way.first, way.second)[number]()) for number in classes]
    given = [(number, copy(text)) for number, text in made]
    gc.disable()
    for number, text in given:
        start = time.perf_counter_ns()
        with suppress(Unauthenticated):
            await way.ask(text)
        found[number].append(time.perf_counter_ns() - start)
    gc.enable()


def welch(first: Sequence[float], second: Sequence[float]) -> float:
    """Welch's t of two samples; 0 where nothing varies."""
    spread = sum(statistics.variance(each) / len(each) for each in (first, second))
    return (statistics.fmean(first) - statistics.fmean(second)) / math.sqrt(spread) if spread else 0.0


def cropped(first: Sequence[int], second: Sequence[int]) -> Iterator[float]:
    """t of all times, and of those below each percentile."""
    both = sorted((*first, *second))
    for percent in (*CROPS, 100):
        most = both[max(0, len(both) * percent // 100 - 1)]
        kept = [[time for time in each if time <= most] for each in (first, second)]
        if min(len(each) for each in kept) > 1:
            yield welch(*kept)


async def main(samples: int) -> None:
    """Measure and tell."""
    _say(f"Python {platform.python_version()}, {samples:,} samples each; noticed above {NOTICED}\n")
    _say("| what | medians, ns | largest of abs(t) |\n|---|---|---|")
    for way in ways():
        first, second = await timed(way, samples)
        largest = max(map(abs, cropped(first, second)), default=0.0)
        medians = " and ".join(f"{statistics.median(each):,.0f}" for each in (first, second))
        _say(f"| {way.name} | {medians} | {largest:.1f} |")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES))
