"""POST /api/v1/agent/chat: every request on it is a turn; the route only listens.

Refuses nothing by itself: even a body that is too large becomes a turn, refused and recorded.
"""

from typing import Any

from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from config.settings import Settings
from service.agent.turns import Turns
from service.auth.guessing import Guesses
from service.errors import InvalidRequest, RequestTimeout, ServiceError, TooLarge
from service.web.acquaintances import whom_of
from service.web.address import Origin
from service.web.ask import Headers, HttpAsk, Identify
from service.web.guessing import Porter
from service.web.headers import headers_of, text_of
from service.web.idempotency import HEADER, Keys, Replay
from service.web.identity import identity_of
from service.web.listening import Listening
from service.web.problems import failed
from service.web.reply import Reply
from service.web.session import credentials_in

PATH = "/api/v1/agent/chat"
MAX_BODY = 1 << 20
"""Bytes, unless AGENT_MAX_BODY_BYTES says more."""


def route(chat: ASGIApp) -> HTTPRouteHandler:
    """The route: what answers it needs nothing of what Litestar would make of the request."""

    @post(PATH, status_code=200)
    async def turn() -> ASGIApp:
        return chat

    return turn


class Chat:
    """Answers a request by a turn; `porter` is told of callers who are refused."""

    def __init__(
        self, turns: Turns, identify: Identify, keys: Keys, settings: Settings, porter: Porter | None = None
    ) -> None:
        self._turns, self._identify, self._keys, self._settings = turns, identify, keys, settings
        self._porter = porter or Porter(Guesses(0), Origin(settings.trusted_proxies))
        self._silence = settings.streams.keepalive_ms / 1000

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; what fails outside of the turn is told as on every route."""
        try:
            if answer := await self._answer(scope, receive):
                await answer(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the door to the outside
            await _told(error, scope, send)

    async def _answer(self, scope: Scope, receive: Receive) -> ASGIApp | None:
        identity, body = identity_of(scope), await read(scope, receive, self._settings.max_body_bytes)
        if body is None:
            return None
        address = self._porter.origin.of(scope)
        named = self._porter.guarding(self._identify, address)
        ask = HttpAsk(identity, _headers(scope, address), body, self._settings, named, self._keys)
        if before := await ask.given_before():
            standing = await self._turns.standing(before.caller)
            return Replay(before.told, standing, streamed=before.streamed)
        return Listening(self._turns.start(ask), identity, self._silence)


async def _told(error: Exception, scope: Any, send: Send) -> None:
    """Tell what went wrong; where an answer has begun, the server ends it."""
    scope.setdefault("path_template", PATH)
    problem = failed(scope, error)
    await Reply(send).whole(problem.status, problem.headers, problem.encoded())


def _headers(scope: Scope, address: str) -> Headers:
    key = text_of(scope, HEADER.lower().encode())
    return Headers(
        address=address,
        credentials=credentials_in(scope),
        content_type=text_of(scope, b"content-type") or "",
        accept=text_of(scope, b"accept") or "",
        idempotency_keys=() if key is None else (key,),
        whom=whom_of(scope),
    )


async def read(scope: Scope, receive: Receive, most: int) -> bytes | ServiceError | None:
    """Read the body: one too large or too slow is a refusal that a turn records; None where it broke off."""
    said = headers_of(scope).get(b"content-length", b"0")
    if not said.isdigit():
        return InvalidRequest("The body could not be read.")
    try:
        return await _whole(receive, most) if int(said) <= most else _too_large(most)
    except RequestTimeout as error:
        return error


async def _whole(receive: Receive, most: int) -> bytes | ServiceError | None:
    pieces, size, more = list[bytes](), 0, True
    while more:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            return None  # nobody is there to answer, and nothing was asked
        pieces.append(message.get("body", b""))
        size, more = size + len(pieces[-1]), message.get("more_body", False)
        if size > most:
            return _too_large(most)
    return b"".join(pieces)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"The body is larger than {most} bytes.")
