"""The house without its web face: store, sealed log, journal, audit, logs, and callers that never tire.

Refuses to answer anybody: the turns are made up here, and told on stderr as a client would hear of them. It
starts in half the time of the whole service, so that it can be killed more often.
"""

import asyncio
import os
import random
import signal
import sys
from contextlib import suppress

import msgspec
from msgspec import Struct

from service.audit.checkpoints import Sealing
from service.audit.signing import log_key
from service.audit.sink import AuditSink, Equipment
from service.cli import state
from service.errors import ClientGone, RateLimited, Unauthenticated, UpstreamFailed, ending_of
from service.store.database import Database, open_database
from telemetry import ids, log
from telemetry.record import Caller, Decision, RateLimit, TurnRecord, Usage
from telemetry.recorder import OpenTurn, Recorder, microseconds
from telemetry.sink import guard
from telemetry.sinks.logs import LogSink
from tests.faults.heard import Heard, State

CALLERS = int(os.environ.get("FAULTS_CALLERS", "40"))
SEGMENT_BYTES = 96 << 10
"""So small that segments come and go in a life of a second."""
STOP_SECONDS = 2.0
ROUTE, MODEL = "POST /api/v1/agent/chat", "claude-sonnet-5-5"
FLOOD = RateLimit(decision=Decision.DENIED, policy="role", limit=1, window_ms=60_000, remaining=0)
KINDS = {"plain": 60, "tool": 20, "failed": 4, "gone": 4, "stranger": 3, "flood": 6, "poison": 1, "long": 2}
LONG = "A very long question. " * 500
TOO_MANY = 1 << 63
"""Tokens that no database has a column for."""


class House(Struct, frozen=True):
    """What a turn needs."""

    audit: AuditSink
    recorder: Recorder
    random: random.Random


def tell(heard: Heard) -> None:
    """Say what a caller knows now, in one write, so that a kill leaves it whole or not at all."""
    os.write(2, b"HEARD " + msgspec.json.encode(heard) + b"\n")


async def call(house: House) -> None:
    """Ask one question after another."""
    while True:
        await asyncio.create_task(turn(house))


async def turn(house: House) -> None:
    heard = Heard(ask=ids.uuid7())
    heard.id = heard.ask
    log.request_id.set(heard.ask)
    tell(heard)
    kind = house.random.choices(list(KINDS), KINDS.values())[0]
    opened: list[OpenTurn] = []
    with suppress(Exception), house.recorder.turn(heard.ask, ROUTE) as draft:
        opened.append(draft)
        await within(house, draft, kind, heard)
    record = opened[0].record
    await house.audit.ended()
    if record and not heard.left:
        tell(told(heard, record))


def told(heard: Heard, record: TurnRecord) -> Heard:
    heard.state, heard.outcome = State.TOLD, record.outcome.value
    heard.code = record.failure.code.value if record.failure else None
    heard.input, heard.output = record.usage.input_tokens, record.usage.output_tokens
    heard.cost, heard.length = record.cost_micros, record.response_length
    return heard


async def within(house: House, draft: OpenTurn, kind: str, heard: Heard) -> None:
    await asyncio.sleep(house.random.random() * 0.01)
    if kind == "stranger":
        raise Unauthenticated("Nobody knows that key.")
    name = "flooder" if kind == "flood" else f"user-{house.random.randrange(9)}"
    draft.identified(Caller(user_id=name, role="AUDITEE", method="api_key", credential_id="k", pseudonym="p"))
    query = LONG + heard.ask if kind == "long" else heard.ask
    draft.asked(conversation_id=ids.uuid7(), model=MODEL, query=query, streamed=True)
    if kind == "flood":
        draft.decided(FLOOD)
        raise RateLimited(FLOOD)
    draft.admitted()
    house.audit.require(heard.ask)
    await house.audit.begun()
    heard.state = State.BEGAN
    tell(heard)
    await answer(house, draft, kind, heard)


async def answer(house: House, draft: OpenTurn, kind: str, heard: Heard) -> None:
    with draft.model_call(MODEL, {}) as model:
        model.content()
        await asyncio.sleep(house.random.random() * 0.08)
        if kind == "failed":
            raise UpstreamFailed("The model's API failed.", status=500)
        usage = Usage(input_tokens=house.random.randrange(1, 1000), output_tokens=7)
        if kind == "poison":
            usage = Usage(input_tokens=TOO_MANY)
        model.counted(usage, house.random.randrange(1, 10_000), MODEL)
    if kind == "tool":
        with draft.tool_call("calculate", "toolu-1"):
            await asyncio.sleep(0.001)
    if kind == "gone":
        heard.left = True
        raise ClientGone
    draft.answered("x" * house.random.randrange(1, 500))


async def run() -> None:
    settings = state.settle()
    log.start(settings)
    derived = state.derived(settings)
    database = await open_database(settings.database_url, state.vault(settings))
    audit, logs = AuditSink(settings, segment_bytes=SEGMENT_BYTES), LogSink(settings)
    audit.equipment = Equipment(
        rows=database.audit,
        keys=derived.journals,
        tell=guard([("logs", logs)])[0].closed,
        sealing=await sealing(settings, derived, database),
    )
    await audit.start()
    recorder = Recorder(guard([("audit", audit), ("logs", logs)]), ending_of)
    house = House(audit, recorder, random.Random())  # noqa: S311 - no secret
    await until_told(house)
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await audit.stop()
    await database.close()


async def sealing(settings, derived, database: Database) -> Sealing:
    log_id = await database.audit.log_id()
    key = log_key(settings.audit.signing_key, derived.signing_seeds, log_id)
    return Sealing(database.checkpoints, key, (), microseconds)


async def until_told(house: House) -> None:
    """Have everybody ask until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    say("Up: now")
    callers = [asyncio.create_task(call(house)) for _ in range(CALLERS)]
    await stopping.wait()
    for each in callers:
        each.cancel()
    await asyncio.gather(*callers, return_exceptions=True)


def say(words: str) -> None:
    os.write(2, words.encode() + b"\n")


if __name__ == "__main__":
    sys.exit(asyncio.run(run()))
