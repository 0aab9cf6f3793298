"""Puts the house together: the only file that knows every room, and it decides nothing else.

Refuses to start half: where something cannot be opened, what was opened before is closed again.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from logging import WARNING
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from config.secret import Secret
from config.settings import Settings
from service.agent.anthropic import AnthropicModel
from service.agent.cost import Prices
from service.agent.keeping import Keeping
from service.agent.loop import Agent
from service.agent.memory import Memory
from service.agent.model import Model
from service.agent.turns import Terms, Turns
from service.audit.checkpoints import Sealing
from service.audit.deed import Doer
from service.audit.outlets import outlets
from service.audit.retention import retain
from service.audit.routine import Routine
from service.audit.signing import log_key
from service.audit.sink import AuditSink, Equipment
from service.auth.authenticator import Authenticator
from service.auth.derive import Derived
from service.auth.keys import KeyDoor
from service.auth.sessions import Sessions
from service.auth.trust import token_door
from service.errors import DatabaseError, ending_of
from service.limits import Gate, MemoryLimiter
from service.seal.vault import Vault
from service.store.database import Database, open_database
from service.tools import built_in
from service.web import (
    audit,
    chat,
    console,
    conversations,
    erasures,
    health,
    limits,
    problems,
    usage,
    verification,
)
from service.web.cursor import Cursors
from service.web.desk import Asking, Desk, Note, unnoted
from service.web.envelope import Envelope
from service.web.health import Check, Dependency
from service.web.idempotency import Keys
from service.web.proofs import Prover
from service.web.scanning import Scanning
from service.web.schema import page as schema
from service.web.server_span import traced
from service.web.session import credentials_of
from service.web.verification import Verifying
from service.web.watch import ModelWatch
from telemetry import ids, log, names
from telemetry.failure import words_of
from telemetry.record import Caller, TurnRecord
from telemetry.recorder import Recorder, microseconds
from telemetry.sink import Guarded, Sink, guard, load

AUDIT = "audit"
HEALTH = "health"
SINK_STOP_SECONDS = 2.0
SIMULATOR_KEY = "simulator"


class House(Struct, frozen=True):
    """A service that runs: the ASGI application, its turns, and the keys and sessions it lets in."""

    app: Any
    turns: Turns
    database: Database
    derived: Derived
    sessions: Sessions


class Records(Struct, frozen=True):
    """The audit as the web face needs it: what proves it, and where a look at it is noted."""

    sealing: Sealing
    note: Note


@asynccontextmanager
async def open_house(settings: Settings, root: Secret, base_url: str | None) -> AsyncGenerator[House]:
    """Open everything in order; on the way out close it in reverse. `base_url` is the model's API.

    Raises:
        DatabaseError, UnknownSink, SettingsError: the service cannot start.
    """
    async with AsyncExitStack() as rooms:
        model = AnthropicModel(_api_key(settings), base_url)
        rooms.push_async_callback(model.aclose)
        rooms.push_async_callback(_settled, asyncio.create_task(asyncio.to_thread(model.warm)))
        derived = Derived(root, settings.secret_key_previous)
        database = await open_database(settings.database_url, build_vault(settings, derived))
        rooms.push_async_callback(database.close)
        sealing = await build_sealing(settings, database, derived)
        rooms.push_async_callback(sealing.close)
        sinks = _sinks(settings, database, derived, sealing)
        await _start(sinks, rooms)
        await _retaining(settings, database, rooms)
        door, watch = build_door(settings, database, derived), model_watch(settings)
        guarded = (*guard(sinks.items()), Guarded(HEALTH, watch))
        turns = build_turns(settings, guarded, model, database, _audit(sinks))
        rooms.push_async_callback(turns.stop)
        checks = build_checks(settings, database, watch, _audit(sinks))
        app = build_app(settings, turns, database, derived, Records(sealing, _note(sinks)), checks, door)
        yield House(app, turns, database, derived, door.sessions)


async def _retaining(settings: Settings, database: Database, rooms: AsyncExitStack) -> None:
    """Remove what is too old once a day, where the settings say an age."""
    if not (days := settings.audit.retention_days):
        return
    routine = Routine("retention", lambda: retain(database.retention, days, _service()))
    await routine.start()
    rooms.push_async_callback(routine.stop)


def _service() -> Doer:
    """The service itself, as who does something now."""
    return Doer(caller=None, request_id=ids.uuid7(), trace_id=None, at=microseconds())


def model_watch(settings: Settings) -> ModelWatch:
    """What the health routes know of the model."""
    return ModelWatch("simulator" if settings.model.simulated else "API")


def build_vault(settings: Settings, derived: Derived) -> Vault:
    """How the audit's content is kept, and the keys to it."""
    return Vault(masters=derived.masters, sealed=settings.audit.content == "sealed")


async def build_sealing(settings: Settings, database: Database, derived: Derived) -> Sealing:
    """What signs the log's head, and tells it.

    Raises:
        SettingsError: the configured key is none.
        DatabaseError: the log does not say its name.
    """
    log_id = await database.audit.log_id()
    key = log_key(settings.audit.signing_key, derived.signing_seeds, log_id)
    return Sealing(database.checkpoints, key, outlets(settings.audit), microseconds)


def build_turns(
    settings: Settings,
    sinks: Sequence[Guarded],
    model: Model,
    database: Database,
    keeping: Keeping | None = None,
) -> Turns:
    """The agent and what its turns are run under."""
    prices = Prices.load()
    for name in settings.model.names:
        if not prices.known(name):
            log.say(names.MODEL_UNPRICED, WARNING, model=name)
    return Turns(
        Recorder(sinks, ending_of, content=settings.telemetry_content),
        Gate(MemoryLimiter(settings.limits.window_ms), settings.limits),
        Agent(model, built_in(), prices, settings.model.max_tool_rounds),
        Terms(
            system=settings.model.system_prompt,
            deadline=settings.model.turn_timeout_ms / 1000,
            grace=settings.shutdown_grace_ms / 1000,
        ),
        Memory(database.conversations, microseconds),
        keeping,
    )


def build_door(settings: Settings, database: Database, derived: Derived) -> Authenticator:
    """The one door for callers.

    Raises:
        SettingsError: the key of the tokens' issuer is none.
    """
    return Authenticator(
        KeyDoor(database.keys, derived.pepper, derived.pseudonym, microseconds),
        token_door(settings.jwt, microseconds),
        Sessions(derived.session, database.sessions, microseconds),
        derived.pseudonym,
    )


def build_app(
    settings: Settings,
    turns: Turns,
    database: Database,
    derived: Derived,
    records: Records,
    checks: Mapping[str, Check],
    door: Authenticator,
) -> Any:
    """The web face: span, envelope, Litestar."""
    desk = Desk(partial(_who, door), records.note, microseconds)
    keys = Keys(database.idempotency, settings.model.turn_timeout_ms)
    litestar = Litestar(
        route_handlers=[
            chat.route(turns, door.identify, keys, settings),
            *_asking(turns, database, Cursors(derived.cursor), desk),
            *_proving(database, Cursors(derived.cursor), desk, records.sealing, settings.database_url),
            *console.routes(
                door,
                desk,
                secure=settings.environment != "development",
                simulated=settings.model.simulated,
            ),
            *schema.routes(),
            *health.routes(checks, lambda: turns.stopping),
        ],
        exception_handlers={Exception: problems.answer},
        logging_config=None,
        openapi_config=None,
    )
    return traced(Envelope(litestar), litestar)


def _asking(turns: Turns, database: Database, cursors: Cursors, desk: Desk) -> list[HTTPRouteHandler]:
    """The routes that ask what is kept."""
    return [
        *usage.routes(database.questions, desk),
        *limits.routes(turns.standing, database.questions, desk),
        *conversations.routes(database.conversations, turns.memory.hide, cursors, desk),
    ]


def _proving(
    database: Database, cursors: Cursors, desk: Desk, sealing: Sealing, url: str
) -> list[HTTPRouteHandler]:
    """The audit's routes."""
    return [
        *audit.routes(database.questions, cursors, desk, Prover(database, sealing), database.opening),
        *erasures.routes(database.erasures, desk),
        *verification.routes(Verifying(database, sealing.key, Scanning(url, 1, niceness=10)), desk),
    ]


async def _who(door: Authenticator, request: Asking) -> Caller:
    return await door.identify(credentials_of(request))


def _audit(sinks: Mapping[str, Sink]) -> AuditSink | None:
    """The audit, where it is one of the sinks."""
    return next((each for each in sinks.values() if isinstance(each, AuditSink)), None)


def _note(sinks: Mapping[str, Sink]) -> Note:
    """Where a look at the audit is noted: in the audit; nowhere, where there is none."""
    audited = _audit(sinks)
    return audited.note if audited else unnoted


def _sinks(settings: Settings, database: Database, derived: Derived, sealing: Sealing) -> dict[str, Sink]:
    """The sinks that are wanted; the audit, which is one of them, is given what it works with."""
    wanted = [name for name in settings.sinks if name != AUDIT or settings.audit.enabled]
    sinks = {name: factory(settings) for name, factory in load(wanted).items()}
    others = guard((name, each) for name, each in sinks.items() if not isinstance(each, AuditSink))
    if audited := _audit(sinks):
        audited.equipment = Equipment(
            rows=database.audit,
            keys=derived.journals,
            tell=partial(_tell, others),
            sealing=sealing,
        )
    return sinks


def _tell(sinks: Sequence[Guarded], record: TurnRecord) -> None:
    """Tell of a turn that a dead process left."""
    for each in sinks:
        each.closed(record)


async def _start(sinks: Mapping[str, Sink], rooms: AsyncExitStack) -> None:
    for name, sink in sinks.items():
        await sink.start()
        rooms.push_async_callback(_stop, name, sink)


async def _stop(name: str, sink: Sink) -> None:
    try:
        async with asyncio.timeout(SINK_STOP_SECONDS):
            await sink.stop()
    except Exception as error:  # noqa: BLE001 - a sink that does not stop must not stop the others
        log.say(names.SINK_FAILED, WARNING, sink=name, verb="stop", error=words_of(error))


async def _settled(task: asyncio.Task[None]) -> None:
    """Wait for a task whose result nobody needs any more; its error was met where it mattered."""
    await asyncio.wait((task,))


def _api_key(settings: Settings) -> str:
    key = settings.model.api_key
    return SIMULATOR_KEY if settings.model.simulated or key is None else key.reveal()


def build_checks(
    settings: Settings, database: Database, watch: ModelWatch, audited: AuditSink | None
) -> Mapping[str, Check]:
    """How each dependency is asked for its health."""
    store = settings.limits.store.partition("://")[0]  # the rest may name a host, and hold a password
    limits = f"{store}, {settings.limits.mode}"
    return {
        "database": partial(_database, database),
        "model": watch.look,
        "journal": partial(_journal, audited),
        "limits": partial(_always, Dependency("up", limits)),
    }


async def _database(database: Database) -> Dependency:
    try:
        await database.ping()
    except DatabaseError as error:
        return Dependency("degraded", error.detail)
    return Dependency("up", "answers")


async def _journal(audited: AuditSink | None) -> Dependency:
    """Not ready where every new turn would be refused."""
    if audited is None:
        return Dependency("up", "the audit is off")
    if fault := audited.fault:
        return Dependency("not_ready" if audited.refuses else "degraded", fault)
    return Dependency("up", f"rows waiting: {audited.book.waiting().rows}")


async def _always(dependency: Dependency) -> Dependency:
    return dependency
