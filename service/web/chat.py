"""POST /api/v1/agent/chat: every request on it is a turn; the route only listens.

Refuses nothing by itself: even a body that is too large becomes a turn, refused and recorded.
"""

from typing import Any

from litestar import Request, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from config.settings import Settings
from service.agent.turns import Turns
from service.errors import InvalidRequest, RequestTimeout, ServiceError, TooLarge
from service.web.acquaintances import whom_of
from service.web.address import Origin
from service.web.ask import Headers, HttpAsk, Identify
from service.web.idempotency import HEADER, Keys, Replay
from service.web.identity import identity_of
from service.web.listening import Listening
from service.web.session import credentials_of

PATH = "/api/v1/agent/chat"
MAX_BODY = 1 << 20
"""Bytes, unless AGENT_MAX_BODY_BYTES says more."""
TOO_LARGE, SERVER_ERROR = 413, 500


def route(turns: Turns, identify: Identify, keys: Keys, settings: Settings) -> HTTPRouteHandler:
    """The route over these turns."""
    origin = Origin(settings.trusted_proxies)

    @post(PATH, status_code=200, request_max_body_size=settings.max_body_bytes)
    async def chat(request: Request[Any, Any, Any]) -> ASGIApp:
        identity, body = identity_of(request.scope), await _body(request, settings.max_body_bytes)
        if body is None:
            return _nothing
        ask = HttpAsk(identity, _headers(request, origin.of(request.scope)), body, settings, identify, keys)
        if before := await ask.given_before():
            return Replay(before.told, await turns.standing(before.caller), streamed=before.streamed)
        return Listening(turns.start(ask), identity, settings.streams.keepalive_ms / 1000)

    return chat


def _headers(request: Request[Any, Any, Any], address: str) -> Headers:
    return Headers(
        address=address,
        credentials=credentials_of(request),
        content_type=request.headers.get("content-type", ""),
        accept=request.headers.get("accept", ""),
        idempotency_keys=tuple(request.headers.getall(HEADER, [])),
        whom=whom_of(request.scope),
    )


async def _body(request: Request[Any, Any, Any], most: int) -> bytes | ServiceError | None:
    """Read it: one too large or too slow is a refusal that the turn records; None where it broke off."""
    try:
        return await request.body()
    except RequestTimeout as error:
        return error
    except HTTPException as error:
        if error.status_code == TOO_LARGE:
            return TooLarge(f"The body is larger than {most} bytes.")
        # Litestar calls a client that left a server error
        return InvalidRequest("The body could not be read.") if error.status_code < SERVER_ERROR else None


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """The client left while it was still asking: nobody is there to answer, and nothing was asked."""
