"""Before anything of a request is read: whether there is room for it. If not, 503 at once, and a record.

Refuses nobody the health routes; whoever is turned away costs no question to the database.
"""

from collections.abc import Mapping
from typing import Any

from litestar.types import ASGIApp, Receive, Scope, Send

from service.agent.places import turned_away
from service.agent.turns import Turns
from service.errors import Overloaded, RateLimited, classify
from service.web.acquaintances import WHOM, Acquaintances
from service.web.ask import HttpAsk
from service.web.chat import MAX_BODY, PATH
from service.web.guessing import SIGNING, Porter, held_off
from service.web.headers import headers_of
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
    """ASGI middleware that every request passes, inside of span and envelope; `chat` answers for turns."""

    def __init__(
        self,
        app: ASGIApp,
        turns: Turns,
        acquaintances: Acquaintances,
        bodies: int = BODIES,
        most: int = MAX_BODY,
        chat: ASGIApp | None = None,
        porter: Porter | None = None,
    ) -> None:
        self._app, self._turns, self._acquaintances, self._bodies = app, turns, acquaintances, bodies
        self._held, self._most, self._chat, self._porter = 0, most, chat or app, porter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it in, or turn it away."""
        if scope["type"] != "http" or scope["path"].startswith(UNTRACED):
            await self._app(scope, receive, send)
            return
        asks = _asks(scope)
        size = _size(scope, self._most if asks else MAX_BODY)
        if wait := self._wait(scope):
            await self._turn_away(scope, send, held_off(*wait))
        elif self._admits(scope, size, asks=asks):
            self._held += size
            try:
                await (self._chat if asks else self._app)(scope, receive, send)
            finally:
                self._held -= size
        else:
            await self._turn_away(scope, send, turned_away())

    def _admits(self, scope: Scope, size: int, *, asks: bool) -> bool:
        if CROWDED in scope or self._held + size > self._bodies:
            return False
        if not asks:
            return True
        whom = self._acquaintances.whom(scope)
        scope[WHOM] = whom  # pyright: ignore[reportGeneralTypeIssues] - ASGI lets an application add keys
        return not self._turns.places.full_for(whom)

    def _wait(self, scope: Scope) -> tuple[float, int] | None:
        """For how many seconds its address is held off, and how many credentials may be wrong in a minute.

        None for who is not held off, and for whoever was let in by the same credential lately.
        """
        porter = self._porter
        if porter is None or not porter.guesses.anybody() or self._acquaintances.whom(scope):
            return None
        wait = porter.guesses.wait(porter.origin.of(scope)) if _tells(scope) else 0.0
        return (wait, porter.guesses.most) if wait else None

    async def _turn_away(self, scope: Scope, send: Send, why: Overloaded | RateLimited) -> None:
        identity = identity_of(scope)
        failure = self._recorded(identity, why) if _asks(scope) else classify(why)
        problem = problem_of(failure, identity, why.limit if isinstance(why, RateLimited) else None)
        await Reply(send).whole(problem.status, problem.headers, problem.encoded())

    def _recorded(self, identity: Identity, why: Overloaded | RateLimited) -> Failure:
        record = self._turns.turn_away(identity.request_id, HttpAsk.route, identity.client_request_id, why)
        return record.failure or classify(why)


def _asks(scope: Mapping[str, Any]) -> bool:
    """Whether it is on the chat route, where every request is a turn."""
    return scope["path"] == PATH and scope["method"] == "POST"


def _tells(scope: Scope) -> bool:
    """Whether it says who sends it, or is about to be told: by a header, or on the pages that sign in."""
    headers = headers_of(scope)
    return b"authorization" in headers or b"cookie" in headers or scope["path"].startswith(SIGNING)


def _size(scope: Scope, most: int) -> int:
    """Bytes that its body may come to: as it says, else the most there may be; none where it has no body."""
    headers = headers_of(scope)
    if b"transfer-encoding" in headers:
        return most
    said = headers.get(b"content-length", b"0")
    return min(int(said), most) if said.isdigit() else most
