"""GET /api/v1/limits: how a caller stands with limits and budgets; asking costs nothing. DELETE begins anew.

Refuses the standing of others to those who may not see it, before it is known whether they exist.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from litestar import delete, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec import Struct

from service.audit import allowances
from service.audit.deed import Doer
from service.auth.permissions import Action, require
from service.errors import NotFound
from service.limits import Gate, Standings
from service.limits.budget import BudgetStanding
from service.web.desk import Asking, Desk
from service.web.identity import identity_of
from service.web.parameters import Nothing, read
from telemetry.person import person_of
from telemetry.record import Allowance, Caller

OWN = "/api/v1/limits"
OTHERS = "/api/v1/limits/{subject:path}"
MILLISECONDS, MICROS = 1_000, 1_000_000

Known = Callable[[str], Awaitable[Caller | None]]
"""A person -> a caller who is only looked at, as they were last; None for one nobody has seen."""


class Policy(Struct, frozen=True):
    """A limit of requests, tokens or turns; `reset` is the time until `remaining` rises, in seconds."""

    name: str
    limit: int
    window: float
    remaining: int
    reset: float


class Budget(Struct, frozen=True):
    """A limit of money in US dollars; `reset` is seconds."""

    name: str
    limit: float
    spent: float
    reserved: float
    reset: float


class Standing(Struct, frozen=True):
    """All limits of one subject; `degraded` while a shared store is away."""

    policies: tuple[Policy, ...]
    budgets: tuple[Budget, ...] = ()
    degraded: bool = False


def routes(gate: Gate, find: Known, desk: Desk) -> list[HTTPRouteHandler]:
    """The three routes."""
    known = partial(_known, find)

    @get(OWN)
    async def own(request: Asking) -> Standing:
        caller = await desk.admit(request, Action.OWN)
        read(Nothing, request.scope["query_string"])
        return standing(await gate.standings(caller))

    @get(OTHERS)
    async def others(request: Asking, subject: FromPath[str]) -> Standing:
        caller = await desk.admit(request, Action.OWN)
        user = subject.removeprefix("/")
        if user != caller.user_id:
            require(caller, Action.LIMITS_ALL)
        read(Nothing, request.scope["query_string"])
        return standing(await gate.standings(caller if user == caller.user_id else await known(user, caller)))

    @delete(OTHERS, status_code=200)
    async def reset(request: Asking, subject: FromPath[str]) -> Standing:
        caller = await desk.admit(request, Action.LIMITS_ALL)
        read(Nothing, request.scope["query_string"])
        whose = await known(subject.removeprefix("/"), caller)
        await gate.reset(whose)
        desk.note(allowances.reset(_doer(request, caller, desk.clock()), whose.pseudonym, whose.role))
        return standing(await gate.standings(whose))

    return [own, others, reset]


async def _known(find: Known, user: str, caller: Caller) -> Caller:
    """A user of the caller's tenant in the role they had last.

    Raises:
        NotFound: nobody has seen such a user.
    """
    found = await find(person_of(user, caller.tenant))
    if found is None:
        raise NotFound("There is no user of that name.")
    return found


def _doer(request: Asking, caller: Caller, at: int) -> Doer:
    identity = identity_of(request.scope)
    return Doer(caller=caller, request_id=identity.request_id, trace_id=identity.trace_id, at=at)


def standing(standings: Standings) -> Standing:
    """How a caller stands, as it is told."""
    policies = standings.limit.allowances if standings.limit else ()
    return Standing(tuple(map(_policy, policies)), tuple(map(_budget, standings.budgets)), standings.degraded)


def _policy(allowance: Allowance) -> Policy:
    return Policy(
        name=allowance.policy,
        limit=allowance.limit,
        window=allowance.window_ms / MILLISECONDS,
        remaining=allowance.remaining,
        reset=allowance.reset_ms / MILLISECONDS,
    )


def _budget(budget: BudgetStanding) -> Budget:
    return Budget(
        name=budget.name,
        limit=budget.limit / MICROS,
        spent=budget.spent / MICROS,
        reserved=budget.reserved / MICROS,
        reset=budget.reset_ms / MILLISECONDS,
    )
