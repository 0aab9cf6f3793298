"""GET /api/v1/operations: the board as JSON, one snapshot for all who ask within seconds.

Refuses whoever may not see operations; names to whoever may not see what others use: pseudonyms stand there.
"""

from collections.abc import Callable

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from service.auth.permissions import Action, may
from service.web.desk import Asking, Desk
from service.web.operations.board import Board
from service.web.operations.period import Period
from service.web.operations.views import Named
from service.web.parameters import read
from telemetry.person import user_of
from telemetry.record import Caller

PATH = "/api/v1/operations"
JSON = "application/json"
UNCHANGED = 304


class OperationsQuery(Struct, frozen=True, kw_only=True):
    """How far back."""

    period: Period = Period.HOUR


class Lookout(Struct, frozen=True):
    """The board, and a user's pseudonym for those who may not see names."""

    board: Board
    pseudonym: Callable[[str], str]

    def naming(self, caller: Caller) -> Named:
        """How users are told of to a caller: as usage tells of them, or not at all."""
        return as_it_is if may(caller, Action.USAGE_ALL) else self.pseudonym


def as_it_is(person: str) -> str:
    """By their name."""
    return user_of(person)


def routes(lookout: Lookout, desk: Desk) -> list[HTTPRouteHandler]:
    """The route."""

    @get(PATH)
    async def operations(request: Asking) -> Response[bytes]:
        caller = await desk.admit(request, Action.OPERATIONS)
        query = read(OperationsQuery, request.scope["query_string"])
        told = await lookout.board.told(query.period, lookout.naming(caller), caller.tenant)
        headers = {"etag": told.tag}
        if request.headers.get("if-none-match") == told.tag:
            return Response(b"", status_code=UNCHANGED, headers=headers)
        return Response(told.body, media_type=JSON, headers=headers)

    return [operations]
