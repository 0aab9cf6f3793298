"""A Messages API that says exactly what a test writes, for answers no simulator would give.

Refuses to understand the question: every request gets the same answer, and its headers are kept.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from service.agent.model import Piece, Prompt, Reply
from service.agent.upstream.anthropic import AnthropicModel
from service.errors import UpstreamError
from tests.upstream import serve

TEXT = {"type": "text", "text": ""}
USAGE = {"input_tokens": 7, "output_tokens": 1}


class CannedApi:
    """An ASGI application; `asked` are the requests' headers, in order."""

    def __init__(
        self,
        events: Iterable[Mapping[str, Any]] = (),
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        raw: bytes = b"",
    ) -> None:
        self.asked: list[dict[str, str]] = []
        self._status, self._body = status, raw or b"".join(map(frame, events))
        kind = "text/event-stream" if status == 200 else "application/json"
        self._headers = {"content-type": kind, "request-id": "req_canned", **(headers or {})}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.asked.append({name.decode(): value.decode() for name, value in scope["headers"]})
        while (await receive()).get("more_body"):
            pass
        pairs = [(name.encode(), value.encode()) for name, value in self._headers.items()]
        await send({"type": "http.response.start", "status": self._status, "headers": pairs})
        await send({"type": "http.response.body", "body": self._body})


def frame(event: Mapping[str, Any]) -> bytes:
    """One server-sent event of the API."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def start(**usage: Any) -> dict[str, Any]:
    """The event that begins an answer."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    return {"type": "message_start", "message": message | {"usage": USAGE | usage}}


def block(index: int, content: Mapping[str, Any], *deltas: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events of one content block: how it begins, and how it grows."""
    return [
        {"type": "content_block_start", "index": index, "content_block": content},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def end(reason: str = "end_turn", **usage: Any) -> list[dict[str, Any]]:
    """The events that end an answer; `usage` is what the last report says."""
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9} | usage},
        {"type": "message_stop"},
    ]


def prompt(message: str = "hello", **changes: Any) -> Prompt:
    """A question to ask."""
    known = {"model": "m", "system": "s", "tools": (), "max_tokens": 50}
    return Prompt(**known | {"messages": ({"role": "user", "content": message},)} | changes)


async def ask(api: Any, question: Prompt | None = None) -> tuple[list[Piece], Reply | UpstreamError]:
    """Ask an application over a socket; give the pieces told and the reply or the error."""
    pieces: list[Piece] = []

    async def hear(piece: Piece) -> None:
        pieces.append(piece)

    with serve(api) as url:
        model = AnthropicModel("the-key", url)
        try:
            return pieces, await model.ask(question or prompt(), hear)
        except UpstreamError as error:
            return pieces, error
        finally:
            await model.aclose()
