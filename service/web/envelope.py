"""Around every answer: who it was, which trace, and that nobody may store it, unless the answer says who may.

Stands inside the SERVER span and outside of Litestar, so that a 404 has it too.
"""

from collections.abc import Callable, Sequence

from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry import trace
from opentelemetry.trace import format_trace_id, use_span

from service.web.identity import KEY, Identity, client_request_id, identity_of
from telemetry import ids, log

UNLESS_SAID = ((b"cache-control", b"no-store"),)
"""Headers of every answer that has none of its own: only the console's files do, which are everybody's."""

Raw = Sequence[tuple[bytes, bytes]]
ForPath = Callable[[str], Raw]
"""Path -> headers that each answer there has unless it has its own."""


def none_for(path: str) -> Raw:
    """No headers, whatever the path."""
    del path
    return ()


class Envelope:
    """ASGI middleware that names the request and marks the answer."""

    def __init__(self, app: ASGIApp, for_path: ForPath = none_for) -> None:
        self._app, self._for_path = app, for_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the request; where the SDK is off, mint the trace it would have had."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        span = trace.get_current_span()
        if not span.get_span_context().is_valid:
            span = ids.mint_span()
        with use_span(span, record_exception=False, set_status_on_exception=False):
            await self._pass(scope, receive, send, format_trace_id(span.get_span_context().trace_id))

    async def _pass(self, scope: Scope, receive: Receive, send: Send, trace_id: str) -> None:
        identity = Identity(
            request_id=ids.uuid7(),
            trace_id=trace_id,
            client_request_id=client_request_id(scope["headers"]),  # pyright: ignore[reportArgumentType] - an iterable of pairs by ASGI's own word
        )
        scope[KEY] = identity  # pyright: ignore[reportGeneralTypeIssues] - ASGI lets an application add keys
        log.request_id.set(identity.request_id)
        unless_said = (*UNLESS_SAID, *self._for_path(scope["path"]))
        await self._app(scope, receive, _marking(send, scope, unless_said))


def _marking(send: Send, scope: Scope, unless_said: Raw) -> Send:
    async def mark(message: Message) -> None:
        if message["type"] == "http.response.start":
            marks = _marks(identity_of(scope))  # only now: an answer that is given again has its own identity
            names = {name for name, _ in marks}
            kept = [(name, value) for name, value in message["headers"] if name.lower() not in names]
            said = {name.lower() for name, _ in kept}
            message["headers"] = [*kept, *marks, *(each for each in unless_said if each[0] not in said)]
        await send(message)

    return mark


def _marks(identity: Identity) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-request-id", identity.request_id.encode()),
        (b"x-trace-id", identity.trace_id.encode()),
    ]
