"""Before anything of a request is read: whether there is room for it. If not, 503 at once, and a record.

Refuses nobody the health routes; whoever is turned away costs no question to the database.
"""

from collections.abc import Mapping
from typing import Any

from litestar.types import ASGIApp, Receive, Scope, Send

from service.agent.places import turned_away
from service.agent.turns import Turns
from service.errors import Overloaded, classify
from service.web.acquaintances import WHOM, Acquaintances
from service.web.ask import HttpAsk
from service.web.chat import MAX_BODY, PATH
from service.web.identity import Identity, identity_of
from service.web.problems import problem_of
from service.web.reply import Reply
from service.web.server_span import UNTRACED
from telemetry.failure import Failure

BODIES = 64 << 20
"""Bytes of all bodies that are in memory at one time."""
CROWDED = "parley.crowded"
"""Where a request's scope says that there are too many connections already."""


class Threshold:
    """ASGI middleware that every request passes, inside of its span and envelope."""

    def __init__(
        self,
        app: ASGIApp,
        turns: Turns,
        acquaintances: Acquaintances,
        bodies: int = BODIES,
        most: int = MAX_BODY,
    ) -> None:
        self._app, self._turns, self._acquaintances, self._bodies = app, turns, acquaintances, bodies
        self._held, self._most = 0, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it in, or turn it away."""
        if scope["type"] != "http" or scope["path"].startswith(UNTRACED):
            await self._app(scope, receive, send)
        elif self._admits(scope, size := _size(scope, self._most if _asks(scope) else MAX_BODY)):
            self._held += size
            try:
                await self._app(scope, receive, send)
            finally:
                self._held -= size
        else:
            await self._turn_away(scope, send)

    def _admits(self, scope: Scope, size: int) -> bool:
        if CROWDED in scope or self._held + size > self._bodies:
            return False
        if not _asks(scope):
            return True
        whom = self._acquaintances.whom(scope)
        scope[WHOM] = whom  # pyright: ignore[reportGeneralTypeIssues] - ASGI lets an application add keys
        return not self._turns.places.full_for(whom)

    async def _turn_away(self, scope: Scope, send: Send) -> None:
        identity, why = identity_of(scope), turned_away()
        failure = self._recorded(identity, why) if _asks(scope) else classify(why)
        problem = problem_of(failure, identity)
        await Reply(send).whole(problem.status, problem.headers, problem.encoded())

    def _recorded(self, identity: Identity, why: Overloaded) -> Failure:
        record = self._turns.turn_away(identity.request_id, HttpAsk.route, identity.client_request_id, why)
        return record.failure or classify(why)


def _asks(scope: Mapping[str, Any]) -> bool:
    """Whether it is on the chat route, where every request is a turn."""
    return scope["path"] == PATH and scope["method"] == "POST"


def _size(scope: Mapping[str, Any], most: int) -> int:
    """Bytes that its body may come to: as it says, else the most there may be; none where it has no body."""
    headers = dict[bytes, bytes](scope["headers"])
    if b"transfer-encoding" in headers:
        return most
    said = headers.get(b"content-length", b"0")
    return min(int(said), most) if said.isdigit() else most
