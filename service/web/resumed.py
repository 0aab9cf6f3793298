"""GET /api/v1/agent/chat/{turn id}/events: goes on with a stream that its client lost, from any event on.

Refuses everybody but the caller of the turn, in the same words as where there is no such turn; it is no turn
itself, and counts nothing.
"""

import re
from typing import Annotated, Any

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter
from litestar.types import ASGIApp, Receive, Scope, Send
from opentelemetry import trace

from service.agent.channel import Ear
from service.agent.resuming import Resuming
from service.agent.running import RunningTurn
from service.auth.permissions import Action
from service.errors import InvalidRequest
from service.web.desk import Desk
from service.web.identity import Identity, identity_of
from service.web.listening import Listening
from service.web.parameters import Nothing, read
from service.web.reply import Reply
from telemetry import names
from telemetry.failure import FieldError

PATH = "/api/v1/agent/chat/{turn_id:str}/events"
HEADER = "Last-Event-ID"
NUMBER = re.compile(r"[0-9]{1,9}")
ALL_HEARD = 204
"""Tells an EventSource that it need not come again (WHATWG HTML, 9.2.3)."""

Id = Annotated[str, PathParameter(max_length=256)]


def route(resuming: Resuming, desk: Desk, silence: float) -> HTTPRouteHandler:
    """The route over these streams; `silence` is the seconds between two comments."""

    @get(PATH)
    async def events(request: Request[Any, Any, Any], turn_id: Id) -> ASGIApp:
        caller = await desk.admit(request, Action.CHAT)
        read(Nothing, request.scope["query_string"])
        after = _after(request)
        running = resuming.find(turn_id.lower(), caller)
        trace.get_current_span().set_attribute(names.TURN_ID, turn_id.lower())
        if running.record and after == running.channel.said + 1:
            return _nothing_more
        return Listening(running, _identity(request, running), silence, _ear(running, after), {})

    return events


def _after(request: Request[Any, Any, Any]) -> int:
    """The number of the event that the client heard last; 0 without one."""
    given = request.headers.get(HEADER, "") or "0"
    if not NUMBER.fullmatch(given):
        raise _wrong("Expected the id of an event of this stream")
    return int(given)


def _ear(running: RunningTurn, after: int) -> Ear:
    if after > running.channel.said:
        raise _wrong("No event of this stream has this id yet")
    return running.listen(after)


def _identity(request: Request[Any, Any, Any], running: RunningTurn) -> Identity:
    """The turn's own, so that the terminal event is the same for everybody who hears it."""
    if running.turn is None:
        return identity_of(request.scope)
    return Identity(request_id=running.turn.opening.turn_id, trace_id=running.turn.opening.trace_id)


async def _nothing_more(scope: Scope, receive: Receive, send: Send) -> None:
    """Everything was heard."""
    del scope, receive
    reply = Reply(send)
    await reply.begin(ALL_HEARD, {})
    await reply.end(b"")


def _wrong(message: str) -> InvalidRequest:
    return InvalidRequest("The stream cannot go on from there.", fields=(FieldError(HEADER, message),))
