"""Opens the house: every room in order, and on the way out in reverse.

Refuses to start half: where something cannot be opened, what was opened before is closed again.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from logging import WARNING
from pathlib import Path
from typing import Any

from msgspec import Struct

from config import Loaded, SettingsError
from config.secret import Secret
from config.settings import Settings
from service.agent.agent import Agent
from service.agent.approval.approvals import Approvals
from service.agent.choice import Choice
from service.agent.conversation.leases import Leases
from service.agent.conversation.memory import Memory
from service.agent.cost import TABLE, Prices, PricesError
from service.agent.keeping import Keeping
from service.agent.model import Model
from service.agent.turns import Terms, Turns
from service.agent.upstream import meters as guards_meters
from service.agent.upstream.guard import Guards
from service.agent.upstream.provided import provider
from service.app import records
from service.app.asked import Kept
from service.app.checks import Kit, build_checks, model_watch
from service.app.face import Doors, build_app
from service.app.last_use import keep_last_use
from service.app.leaving import Leave
from service.app.limiting import open_gate
from service.app.reload import CHANGING, Reload, Takers
from service.app.rotation import Rotation
from service.app.tooling import build_tools, open_servers
from service.audit.checkpoints import Sealing
from service.auth.authenticator import Authenticator
from service.auth.derive import Derived
from service.auth.keys import KeyDoor
from service.auth.sessions import Sessions
from service.auth.trust import token_door
from service.auth.verified import Verified
from service.errors import ending_of
from service.limits import Gate
from service.store.database import Database, open_database
from service.web.cursor import Cursors
from telemetry import log, names
from telemetry.recorder import Recorder, microseconds
from telemetry.sink import Guarded, Sink, guard

HEALTH = "health"


class House(Struct, frozen=True):
    """A service that runs: the ASGI application, its turns, and the keys and sessions it lets in.

    `reload` reads the settings again and takes over what may change while it runs.
    """

    app: Any
    turns: Turns
    database: Database
    derived: Derived
    sessions: Sessions
    reload: Reload


@asynccontextmanager
async def open_house(
    loaded: Loaded, root: Secret, base_url: str | None, leave: Leave
) -> AsyncGenerator[House]:
    """Open everything in order; on the way out close it in reverse, in the time that is left.

    `base_url` is the model's API.

    Raises:
        DatabaseError, UnknownSink, UnusableTool, SettingsError: the service cannot start.
    """
    settings, derived = loaded.settings, Derived(root, loaded.settings.secret_key_previous)
    async with AsyncExitStack() as rooms:
        model, warmed = _model(settings, base_url, rooms)
        database = await _opened(settings, derived, rooms)
        sealing = await _sealing(settings, database, derived, rooms)
        sinks = records.build_sinks(settings, database, derived, sealing)
        await records.start(sinks, rooms, leave.within)
        await records.keep_up(settings, database, sealing, rooms)
        watch, audited, kit = (
            model_watch(settings),
            records.audit_of(sinks),
            _kit(settings, model, _asked(database, derived, sinks), rooms, leave),
        )
        gate = await open_gate(settings, database, audited, rooms, derived.pseudonym)
        turns = build_turns(settings, _guarded(sinks, watch), kit, database, gate, audited)
        rooms.push_async_callback(turns.stop)
        checks = build_checks(database, gate, watch, audited, lambda: turns.unsettled, kit)
        kept, who = (
            records.Records(sealing, records.note_of(sinks), audited),
            await _open_door(settings, database, derived, rooms),
        )
        reload = Reload(loaded, gate.rules, kept.note, _takers(model, settings, derived, who, kept))
        doors = Doors(who, gate, reload.table, CHANGING)
        app = build_app(settings, turns, database, derived, kept, checks, doors)
        await asyncio.wait((warmed,))  # the first turn shall not wait for it
        yield House(app, turns, database, derived, who.sessions, reload)


def _guarded(sinks: Mapping[str, Sink], watch: Sink) -> tuple[Guarded, ...]:
    """The sinks, none of which may fail a turn, and what watches the model for its health."""
    return (*guard(sinks.items()), Guarded(HEALTH, watch))


def _takers(
    model: Model, settings: Settings, derived: Derived, who: Authenticator, kept: records.Records
) -> Takers:
    """Who takes over secrets that are others from a reload on."""
    rotation = Rotation(settings, derived, who, kept.sealing.key, kept.audited)
    return Takers(key=getattr(model, "take_key", _keep_key), root=rotation)


def _keep_key(key: Secret) -> None:
    """What a model does with another key that takes none while it runs."""
    del key


def _model(
    settings: Settings, base_url: str | None, rooms: AsyncExitStack
) -> tuple[Model, asyncio.Task[None]]:
    """The model, and it getting ready while the other rooms are opened, where that takes it any time.

    What goes wrong with that is met, and told, by whoever asks the model: it is waited for, never asked.
    """
    model = provider(settings.model.provider)(settings, base_url)
    if close := getattr(model, "aclose", None):
        rooms.push_async_callback(close)
    warmed = asyncio.create_task(asyncio.to_thread(getattr(model, "warm", _stay)))
    rooms.push_async_callback(asyncio.wait, (warmed,))
    return model, warmed


def _stay() -> None:
    """What a model does that takes no time to get ready."""


def _kit(settings: Settings, model: Model, asked: Kept, rooms: AsyncExitStack, leave: Leave) -> Kit:
    """What the agent works with; MCP servers are connected to until the rooms are left."""
    servers = open_servers(settings, rooms, leave.within)
    return Kit(model, build_guards(settings), build_tools(settings, servers, asked), servers)


def _asked(database: Database, derived: Derived, sinks: Mapping[str, Sink]) -> Kept:
    """What tools may ask of our records."""
    return Kept(database, Cursors(derived.cursors), records.note_of(sinks))


async def _opened(settings: Settings, derived: Derived, rooms: AsyncExitStack) -> Database:
    vault = derived.vault(sealed=settings.audit.content == "sealed")
    database = await open_database(settings.database_url, vault)
    rooms.push_async_callback(database.close)
    return database


async def _sealing(
    settings: Settings, database: Database, derived: Derived, rooms: AsyncExitStack
) -> Sealing:
    sealing = await records.build_sealing(settings, database, derived)
    rooms.push_async_callback(sealing.close)
    return sealing


def build_turns(
    settings: Settings,
    sinks: Sequence[Guarded],
    kit: Kit,
    database: Database,
    gate: Gate,
    keeping: Keeping | None = None,
) -> Turns:
    """The agent and what its turns are run under."""
    prices = build_prices(settings)
    for name in settings.model.names:
        if not prices.known(name):
            log.say(names.MODEL_UNPRICED, WARNING, model=name)
    agent = Agent(
        kit.model,
        kit.tools,
        prices,
        settings.model.max_tool_rounds,
        kit.guards,
        settings.model.fallbacks,
        settings.model.turn_timeout_ms / 1000,
        Choice(settings.model.name, lambda: gate.rules.limits.role_models or {}),
        context_tokens=settings.model.context_tokens,
        approvers=_approvals(settings, database, audited=keeping is not None),
        count_above=settings.model.count_tokens_above,
        max_calls=settings.tools.calls,
        turn_micros=lambda: gate.rules.limits.turn_micros,
    )
    recorder = Recorder(sinks, ending_of, content=settings.telemetry_content)
    memory = Memory(database.conversations, microseconds, Leases(database.leases))
    return Turns(recorder, gate, agent, _terms(settings), memory, keeping)


def build_prices(settings: Settings) -> Prices:
    """What models cost: our table, and over it the one that is set.

    Raises:
        SettingsError: that one cannot be used.
    """
    path = settings.model.prices
    try:
        return Prices.load(TABLE, Path(path)) if path else Prices.load()
    except (PricesError, OSError) as error:
        raise SettingsError((f"AGENT_MODEL_PRICES: {error}",)) from error


def _approvals(settings: Settings, database: Database, *, audited: bool) -> Approvals:
    seconds = settings.model.approval_timeout_ms / 1000
    return Approvals(database.approvals, microseconds, seconds, audited=audited)


def _terms(settings: Settings) -> Terms:
    return Terms(
        system=settings.model.system_prompt,
        deadline=settings.model.turn_timeout_ms / 1000,
        grace=settings.shutdown_grace_ms / 1000,
        patience=settings.streams.resume_ms / 1000,
        delay=settings.shutdown_delay_ms / 1000,
        places=settings.max_turns,
    )


def build_guards(settings: Settings) -> Guards:
    """What stands before the models; not before the simulator: it fails as it is told, call by call."""
    guards = Guards(settings.model.names, on=settings.model.breaker and not settings.model.simulated)
    guards_meters.watch(guards)
    return guards


async def _open_door(
    settings: Settings, database: Database, derived: Derived, rooms: AsyncExitStack
) -> Authenticator:
    door = build_door(settings, database, derived)
    await keep_last_use(door, database.keys, rooms)
    return door


def build_door(settings: Settings, database: Database, derived: Derived) -> Authenticator:
    """The one door for callers.

    Raises:
        SettingsError: the key of the tokens' issuer is none.
    """
    stale, clock = settings.auth_stale_ms, microseconds
    return Authenticator(
        KeyDoor(
            database.keys,
            derived.peppers,
            derived.pseudonym,
            clock,
            Verified(clock, stale),
        ),
        token_door(settings.jwt, clock),
        Sessions(
            derived.sessions,
            database.sessions,
            clock,
            Verified(clock, stale),
            derived.subjects,
        ),
        derived.pseudonym,
    )
