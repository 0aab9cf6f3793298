"""How each dependency is asked for its health.

Refuses to ask the model: that costs money; what the turns met last is told.
"""

from collections.abc import Callable, Mapping
from functools import partial

from msgspec import Struct

from config.settings import Settings
from service.agent.model import Model
from service.agent.upstream.guard import Guards
from service.audit.sink import AuditSink
from service.errors import DatabaseError
from service.limits import Gate
from service.limits.loss import SharedStore
from service.store.database import Database
from service.tools import Registry
from service.tools.mcp.servers import Servers
from service.web.health import Check, Dependency
from service.web.watch import ModelWatch


class Kit(Struct, frozen=True):
    """What the agent works with: its model, what stands before it, the tools, and whose some of them are."""

    model: Model
    guards: Guards
    tools: Registry
    servers: Servers | None = None


def build_checks(
    database: Database,
    gate: Gate,
    watch: ModelWatch,
    audited: AuditSink | None,
    waiting: Callable[[], int] = lambda: 0,
    kit: Kit | None = None,
) -> Mapping[str, Check]:
    """How each dependency is asked for its health; `waiting` counts what turns left for the database."""
    guards, servers = (kit.guards, kit.servers) if kit else (None, None)
    mcp = {"mcp": partial(_mcp, servers)} if servers else {}
    return mcp | {
        "database": partial(_database, database, waiting),
        "model": partial(_model, watch, guards),
        "journal": partial(_journal, audited),
        "limits": partial(_limits, gate),
    }


def model_watch(settings: Settings) -> ModelWatch:
    """What the health routes know of the model."""
    return ModelWatch("simulator" if settings.model.simulated else "API")


async def _database(database: Database, waiting: Callable[[], int]) -> Dependency:
    try:
        await database.ping()
    except DatabaseError as error:
        left = waiting()
        return Dependency("degraded", f"{error.detail} Turns waiting: {left}." if left else error.detail)
    return Dependency("up", "answers")


async def _model(watch: ModelWatch, guards: Guards | None) -> Dependency:
    """As the turns met it; degraded while any model is left alone."""
    seen = await watch.look()
    shut = [model for model, alone in guards.states().items() if alone] if guards else []
    return Dependency("degraded", f"{seen.detail}; left alone: {', '.join(shut)}") if shut else seen


async def _journal(audited: AuditSink | None) -> Dependency:
    """Not ready where every new turn would be refused."""
    if audited is None:
        return Dependency("up", "the audit is off")
    if fault := audited.fault:
        return Dependency("not_ready" if audited.refuses else "degraded", fault)
    return Dependency("up", f"rows waiting: {audited.book.waiting().rows}")


async def _mcp(servers: Servers) -> Dependency:
    """Degraded while any server is away: its tools fail, all else works."""
    if away := servers.away():
        return Dependency("degraded", f"away: {', '.join(away)}")
    return Dependency("up", f"servers: {len(servers.links)}")


async def _limits(gate: Gate) -> Dependency:
    """Degraded while each process decides alone."""
    said = f"{gate.store.name}, {gate.rules.limits.mode}"
    if not isinstance(gate.store, SharedStore):
        return Dependency("up", said)
    told = f"{said}: {gate.store.detail}" if gate.store.detail else said
    return Dependency("degraded" if gate.store.degraded else "up", told)
