"""Questions of every kind, each made of a seed and a number: what is asked, how it is answered, how it ends.

Refuses to judge: what each heard is kept, and held against rows and spans later.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from random import Random

from msgspec import Struct

from tests.faults.partings import SMALL, Guest
from tests.faults.upstream import END, Endless, Script, Wait, chunk
from tests.faults.upstream_table import FAULTS, body, plays, words
from tests.faults.weather import CLEAR, Fate, Kind
from tests.harness.messages_api import TEXT, block, end, frame, start

SECONDS = 40.0
"""Far above what anything here takes."""
DEAF = 2.5
"""Seconds for which somebody takes nothing, before they leave: longer than the service waits."""
TALK = [start(), *block(0, TEXT, *(words(f"word {number} ") for number in range(12))), *end()]
WANTED = {"type": "tool_use", "id": "c1", "name": "calculate", "input": {}}
SUM = {"type": "input_json_delta", "partial_json": '{"expression": "6*7"}'}
MUCH = chunk(frame(block(0, TEXT, words("x" * 65_536))[1]))
SCRIPTS: Mapping[str, list[Script]] = {
    "talk": [plays(*(step for each in body(*TALK) for step in (each, Wait(0.02))), END)],
    "sum": [
        plays(*body(start(), *block(0, WANTED, SUM), *end("tool_use")), END),
        plays(*body(*TALK), END),
    ],
    "much": [plays(*body(start(), *block(0, TEXT)[:1]), Endless(MUCH, 0.005))],
} | {name: list(fault.scripts) for name, fault in FAULTS.items()}
"""How the model's API may answer: well, or by any fault of the table."""
FINE = tuple(name for name in FAULTS if name.startswith("fine-"))
BROKEN = tuple(name for name in FAULTS if not name.startswith("fine-"))

KINDS = {"stream": 10, "json": 5, "key": 3, "poor": 2, "nobody": 1, "wrong": 2}
"""How often of 23: the last three are refused, by a limit, for want of a credential, for what they ask."""
WAYS = {"talk": 6, "sum": 3, "fine": 2, "broken": 8}
ENDINGS = {"whole": 8, "fin": 2, "rst": 2, "half": 1, "deaf": 1, "resume": 2}
CLIENT_FATES = {Kind.CLEAR: 12, Kind.LATE: 2, Kind.DRIP: 1, Kind.HALF: 1, Kind.RESET: 1, Kind.DARK: 1}
MODEL_FATES = {Kind.CLEAR: 24, Kind.LATE: 2, Kind.DRIP: 1, Kind.HALF: 1, Kind.RESET: 1, Kind.DARK: 1}


class Question(Struct, frozen=True, kw_only=True):
    """One question: all of it follows from the seed and its number."""

    name: str
    kind: str
    way: str
    ending: str
    leaves: float
    """Seconds after which one leaves who leaves; below 0: at the first text, or when asked."""
    fate: Fate = CLEAR


class Heard(Struct, frozen=True, kw_only=True):
    """What came back: `turn` is empty where no whole head did, `terminal` where no last event did."""

    question: Question
    status: int = 0
    turn: str = ""
    replayed: bool = False
    terminal: str = ""


def question(seed: int, number: int) -> Question:
    """The question of this number; kinds that come in pairs share their name with the one before."""
    chance = Random(f"{seed}/{number}")  # noqa: S311 - a plan, no secret
    kind, way = _any(chance, KINDS), _any(chance, WAYS)
    way = chance.choice(FINE) if way == "fine" else chance.choice(BROKEN) if way == "broken" else way
    ending = _any(chance, ENDINGS) if kind in {"stream", "json"} else "whole"
    if kind == "json" and ending in {"deaf", "resume"}:
        ending = "whole"
    return Question(
        name=f"q{number}",
        kind=kind,
        way="much" if ending == "deaf" else way,
        ending=ending,
        leaves=chance.uniform(0, 0.5) if chance.random() < 0.5 else -1.0,
        fate=CLEAR if ending == "deaf" else _fate(chance, CLIENT_FATES),
    )


def model_fate(seed: int, name: str, time: int) -> Fate:
    """What becomes of a question on its way from the service to the model, for the so-manieth time."""
    return _fate(Random(f"{seed}/{name}/{time}"), MODEL_FATES)  # noqa: S311 - a plan, no secret


def _fate(chance: Random, fates: Mapping[Kind, int]) -> Fate:
    kind = _any(chance, fates)
    seconds = {
        Kind.LATE: chance.uniform(0.01, 0.1),
        Kind.DRIP: chance.uniform(0.001, 0.005),
        Kind.DARK: chance.uniform(0.2, 2.0),
    }
    return Fate(kind, chance.choice((0, 20, 200, 600, 1200)), seconds.get(kind, 0.0))


def _any(chance: Random, weights: Mapping[str, int] | Mapping[Kind, int]):
    return chance.choices(list(weights), list(weights.values()))[0]


async def ask(url: str, keys: Mapping[str, str], asked: Question) -> Heard:
    """Ask and end as the question says; whatever happens on the way is heard, and no error."""
    guest = Guest(url, keys.get(asked.kind, keys["stream"]), buffer=SMALL if asked.ending == "deaf" else None)
    with suppress(OSError, AssertionError):  # cut, or closed before what was waited for
        async with asyncio.timeout(SECONDS), guest:
            await guest.ask(_body(asked), _headers(asked))
            await _end(url, keys, asked, guest)
    return heard(asked, guest)


def _body(asked: Question) -> dict[str, object]:
    more = {"model": "of nobody"} if asked.kind == "wrong" else {}
    return {"message": f"fault:{asked.way}#{asked.name}", "stream": asked.kind == "stream", **more}


def _headers(asked: Question) -> dict[str, str]:
    if asked.kind == "key":
        return {"Idempotency-Key": asked.name}
    return {}


async def _end(url: str, keys: Mapping[str, str], asked: Question, guest: Guest) -> None:
    match asked.ending:
        case "whole":
            await guest.rest()
        case "deaf":
            await guest.until(b"event: text")
            guest.deafen()
            await asyncio.sleep(DEAF)
            guest.leave("rst")
        case "resume":
            await guest.until(b"event: text")
            guest.leave("rst")
            await _resume(url, keys, guest)
        case how:
            await _leave(asked, guest, how)


async def _leave(asked: Question, guest: Guest, how: str) -> None:
    if asked.leaves >= 0:
        with suppress(TimeoutError):
            async with asyncio.timeout(asked.leaves):
                await guest.rest()
    elif asked.kind == "stream":
        await guest.until(b"event: text")
    guest.leave(how)
    if how == "half":
        await guest.rest()


async def _resume(url: str, keys: Mapping[str, str], guest: Guest) -> None:
    async with Guest(url, keys["stream"]) as again:
        await again.resume(guest.events[0].data["id"], int(guest.events[-1].id))
        await again.rest()


def heard(asked: Question, guest: Guest) -> Heard:
    """What a guest was told, as far as it came."""
    head, found, _ = guest.received.partition(b"\r\n\r\n")
    if not found:
        return Heard(question=asked)
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    last = (
        guest.events[-1].event if "event-stream" in headers.get("content-type", "") and guest.events else ""
    )
    return Heard(
        question=asked,
        status=int(first.split()[1]),
        turn=headers.get("x-request-id", ""),
        replayed="idempotency-replayed" in headers,
        terminal=last if last in {"done", "error"} else "",
    )
