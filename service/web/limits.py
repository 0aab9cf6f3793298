"""GET /api/v1/limits: how a caller stands with the limiter; asking costs nothing.

Refuses the standing of others to those who may not see it, before it is known whether they exist.
"""

from collections.abc import Callable

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec import Struct

from service.auth.permissions import Action, require
from service.errors import NotFound
from service.store.questions import Questions
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, read
from telemetry.record import Caller, RateLimit

OWN = "/api/v1/limits"
OTHERS = "/api/v1/limits/{subject:path}"
MILLISECONDS = 1_000

Peek = Callable[[Caller], RateLimit | None]
"""How a caller stands; None where limits are off. Costs nothing."""


class Policy(Struct, frozen=True):
    """A limit of requests; `window` and `reset`, the time until `remaining` rises, are seconds."""

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


def routes(peek: Peek, questions: Questions, desk: Desk) -> list[HTTPRouteHandler]:
    """Both routes."""

    @get(OWN)
    async def own(request: Asking) -> Standing:
        caller = await desk.admit(request, Action.OWN)
        read(Nothing, request.scope["query_string"])
        return standing(peek(caller))

    @get(OTHERS)
    async def others(request: Asking, subject: FromPath[str]) -> Standing:
        caller = await desk.admit(request, Action.OWN)
        user = subject.removeprefix("/")
        if user != caller.user_id:
            require(caller, Action.LIMITS_ALL)
        read(Nothing, request.scope["query_string"])
        return standing(peek(caller if user == caller.user_id else await _known(user, questions)))

    return [own, others]


async def _known(user: str, questions: Questions) -> Caller:
    """A user in the role they had last, in a turn or by a new key.

    Raises:
        NotFound: nobody has seen such a user.
    """
    role = await questions.role_of(user)
    if role is None:
        raise NotFound("There is no user of that name.")
    return Caller(user_id=user, role=role, method="", credential_id="", pseudonym="")


def standing(limit: RateLimit | None) -> Standing:
    """A decision as it is told."""
    if limit is None:
        return Standing(())
    policy = Policy(
        name=limit.policy,
        limit=limit.limit,
        window=limit.window_ms / MILLISECONDS,
        remaining=limit.remaining,
        reset=limit.reset_ms / MILLISECONDS,
    )
    return Standing((policy,))
