"""Around every answer: who it was, which trace, that nobody may store it nor a browser make more of it.

Stands inside the SERVER span and outside of Litestar, so that a 404 has it too.
"""

from collections.abc import Callable, Iterable, Sequence

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


CAREFUL = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""For answers that are no pages, should a browser show one all the same; a page says its own."""


class Envelope:
    """ASGI middleware that names the request and marks the answer."""

    def __init__(self, app: ASGIApp, for_path: ForPath = none_for) -> None:
        self._app, self._for_path = app, for_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the request; where the SDK is off, mint the trace it would have had."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        known = trace.get_current_span().get_span_context()
        if known.is_valid:
            await self._pass(scope, receive, send, format_trace_id(known.trace_id))
            return
        span = ids.mint_span()
        with use_span(span, record_exception=False, set_status_on_exception=False):
            await self._pass(scope, receive, send, format_trace_id(span.get_span_context().trace_id))

    async def _pass(self, scope: Scope, receive: Receive, send: Send, trace_id: str) -> None:
        identity = Identity(
            request_id=ids.uuid7(),
            trace_id=trace_id,
            client_request_id=client_request_id(scope),
        )
        scope[KEY] = identity  # pyright: ignore[reportGeneralTypeIssues] - ASGI lets an application add keys
        log.request_id.set(identity.request_id)
        unless_said = (*UNLESS_SAID, *self._for_path(scope["path"]), *CAREFUL)
        await self._app(scope, receive, _marking(send, scope, unless_said))


def _marking(send: Send, scope: Scope, unless_said: Raw) -> Send:
    async def mark(message: Message) -> None:
        if message["type"] == "http.response.start":
            # only now: an answer that is given again has its own identity
            message["headers"] = _marked(message["headers"], identity_of(scope), unless_said)
        await send(message)

    return mark


def _marked(headers: Iterable[tuple[bytes, bytes]], identity: Identity, unless_said: Raw) -> Raw:
    """With the identity, and what is missing; of two of a name the first."""
    made = {b"x-request-id": identity.request_id.encode(), b"x-trace-id": identity.trace_id.encode()}
    marked = [pair for pair in headers if pair[0] not in made]
    marked += made.items()
    said = {name for name, _ in marked}
    for pair in unless_said:
        if pair[0] not in said:
            said.add(pair[0])
            marked.append(pair)
    return marked
