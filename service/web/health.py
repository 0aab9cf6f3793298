"""Whether the process lives, and whether it can serve: each dependency by name.

`live` touches nothing. The database being away is `degraded`: whoever is known already is still answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

NOT_READY = 503
LOOK_SECONDS = 3.0
"""How long one dependency may take to show itself; all are looked at together."""


class Dependency(Struct, frozen=True):
    """How one dependency is: `up`, `degraded` or `not_ready`, and a few words."""

    status: str
    detail: str


class Readiness(Struct, frozen=True):
    """How the service is: `ready`, `degraded` or `not_ready`."""

    status: str
    dependencies: Mapping[str, Dependency]


class Liveness(Struct, frozen=True):
    """The process answers."""

    status: str = "live"


Check = Callable[[], Awaitable[Dependency]]


def routes(checks: Mapping[str, Check], stopping: Callable[[], bool]) -> list[HTTPRouteHandler]:
    """Both routes over these checks."""

    @get("/health/live")
    async def live() -> Liveness:
        return Liveness()

    @get("/health/ready")
    async def ready() -> Response[Readiness]:
        looked = await asyncio.gather(*map(look, checks.values()))
        found = dict(zip(checks, looked, strict=True))
        told = Readiness(overall(found, stopping=stopping()), found)
        return Response(told, status_code=NOT_READY if told.status == "not_ready" else 200)

    return [live, ready]


async def look(check: Check) -> Dependency:
    """What a check finds; one that takes too long or raises has found nothing good."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await check()
    except TimeoutError:
        return Dependency("degraded", f"no answer within {LOOK_SECONDS:g} s")
    except Exception as error:  # noqa: BLE001 - whoever asks for health gets an answer, and no foreign words
        return Dependency("degraded", type(error).__name__)


def overall(found: Mapping[str, Dependency], *, stopping: bool) -> str:
    """The worst of them; a process that stops is not ready."""
    if stopping or any(each.status == "not_ready" for each in found.values()):
        return "not_ready"
    return "ready" if all(each.status == "up" for each in found.values()) else "degraded"
