"""Puts the house together: the only file that knows every room, and it decides nothing else."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
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
from service.agent.loop import Agent
from service.agent.model import Model
from service.agent.turns import Terms, Turns
from service.audit.sink import AuditSink
from service.auth.derive import Derived
from service.auth.keys import KeyDoor
from service.errors import DatabaseError, ending_of
from service.limits import Gate, MemoryLimiter
from service.store.database import Database, open_database
from service.tools import built_in
from service.web import chat, health, problems
from service.web.envelope import Envelope
from service.web.health import Check, Dependency
from service.web.server_span import traced
from telemetry import log, names
from telemetry.recorder import Recorder, microseconds
from telemetry.sink import Sink, guard, load

AUDIT = "audit"
SINK_STOP_SECONDS = 2.0
SIMULATOR_KEY = "simulator"


class House(Struct, frozen=True):
    """A service that runs: the ASGI application, its turns, and the keys it lets in."""

    app: Any
    turns: Turns
    database: Database
    derived: Derived


@asynccontextmanager
async def open_house(settings: Settings, root: Secret, base_url: str | None) -> AsyncGenerator[House]:
    """Open everything in order; on the way out close it in reverse. `base_url` is the model's API.

    Raises:
        DatabaseError, UnknownSink: the service cannot start.
    """
    async with AsyncExitStack() as rooms:
        model = AnthropicModel(_api_key(settings), base_url)
        rooms.push_async_callback(model.aclose)
        warming = asyncio.create_task(asyncio.to_thread(model.warm))
        rooms.push_async_callback(_settled, warming)
        database = await open_database(settings.database_url)
        rooms.push_async_callback(database.close)
        sinks = _sinks(settings, database)
        for name, sink in sinks.items():
            await sink.start()
            rooms.push_async_callback(_stop, name, sink)
        derived = Derived(root)
        turns = build_turns(settings, sinks, model)
        rooms.push_async_callback(turns.stop)
        yield House(build_app(settings, turns, database, derived), turns, database, derived)


def build_turns(settings: Settings, sinks: Mapping[str, Sink], model: Model) -> Turns:
    """The agent and what its turns are run under."""
    prices = Prices.load()
    for name in settings.model.names:
        if not prices.known(name):
            log.say(names.MODEL_UNPRICED, WARNING, model=name)
    return Turns(
        Recorder(guard(sinks.items()), ending_of),
        Gate(MemoryLimiter(settings.limits.window_ms), settings.limits),
        Agent(model, built_in(), prices, settings.model.max_tool_rounds),
        Terms(
            system=settings.model.system_prompt,
            deadline=settings.model.turn_timeout_ms / 1000,
            grace=settings.shutdown_grace_ms / 1000,
        ),
    )


def build_app(settings: Settings, turns: Turns, database: Database, derived: Derived) -> Any:
    """The web face: span, envelope, Litestar."""
    door = KeyDoor(database.keys, derived.pepper, derived.pseudonym, microseconds)
    routes: list[HTTPRouteHandler] = [
        chat.route(turns, door.identify, settings),
        *health.routes(_checks(settings, database), lambda: turns.stopping),
    ]
    litestar = Litestar(
        route_handlers=routes,
        exception_handlers={Exception: problems.answer},
        logging_config=None,
        openapi_config=None,
    )
    return traced(Envelope(litestar), litestar)


def _sinks(settings: Settings, database: Database) -> dict[str, Sink]:
    """The sinks that are wanted; the audit, which is one of them, is given the store."""
    wanted = [name for name in settings.sinks if name != AUDIT or settings.audit.enabled]
    sinks = {name: factory(settings) for name, factory in load(wanted).items()}
    for sink in sinks.values():
        if isinstance(sink, AuditSink):
            sink.rows = database.audit
    return sinks


async def _stop(name: str, sink: Sink) -> None:
    try:
        async with asyncio.timeout(SINK_STOP_SECONDS):
            await sink.stop()
    except Exception as error:  # noqa: BLE001 - a sink that does not stop must not stop the others
        log.say(names.SINK_FAILED, WARNING, sink=name, verb="stop", error=f"{type(error).__name__}: {error}")


async def _settled(task: asyncio.Task[None]) -> None:
    """Wait for a task whose result nobody needs any more; its error was met where it mattered."""
    await asyncio.wait((task,))


def _api_key(settings: Settings) -> str:
    key = settings.model.api_key
    return SIMULATOR_KEY if settings.model.simulated or key is None else key.reveal()


def _checks(settings: Settings, database: Database) -> Mapping[str, Check]:
    return {
        "database": partial(_database, database),
        "model": partial(_always, Dependency("up", "simulator" if settings.model.simulated else "API")),
        "limits": partial(_always, Dependency("up", settings.limits.store)),
    }


async def _database(database: Database) -> Dependency:
    try:
        await database.ping()
    except DatabaseError as error:
        return Dependency("degraded", error.detail)
    return Dependency("up", "answers")


async def _always(dependency: Dependency) -> Dependency:
    return dependency
