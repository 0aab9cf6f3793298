"""The events of a reply, in both forms of the API: one JSON body, or server-sent events.

Refuses to know time and sockets: it says what is sent, `delivery` says when and how it breaks.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from service.simulator import thinking
from service.simulator.error import ApiError
from service.simulator.reply import Reply
from service.simulator.usage import usage_body

_PIECE = re.compile(r"\s*(?:\S+\s*){1,3}|\s+")
"""Three words of a text: what one delta carries."""

PLACEHOLDER = 1
"""The output tokens that `message_start` names before any are known."""

BROKEN = b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": \n\n'
"""An event whose data is not JSON."""


def message_body(reply: Reply) -> dict[str, Any]:
    """The reply as one JSON body."""
    return {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": list(reply.content),
        "stop_reason": reply.stop_reason,
        "stop_sequence": reply.stop_sequence,
        "stop_details": reply.stop_details,
        "usage": usage_body(reply.tokens),
    }


def frames(reply: Reply, fault: str, request_id: str) -> list[bytes]:
    """The reply as server-sent events, one a frame, with what the fault leaves of them.

    `stall` leaves the first, `cut` and `error-event` the first half of the text, `truncate` all but the
    end; `bad-json` puts a broken one in the middle. Any other fault leaves the stream whole.
    """
    head, body, tail = list(_head(reply)), list(_blocks(reply)), list(_tail(reply))
    middle = -(-len(body) // 2)
    match fault:
        case "stall":
            return head[:1]
        case "cut":
            return head + body[:middle]
        case "error-event":
            return head + body[:middle] + [_frame(ApiError(529, "Overloaded").body(request_id))]
        case "truncate":
            return head + body
        case "bad-json":
            return [*head, *body[:middle], BROKEN, *body[middle:], *tail]
        case _:
            return head + body + tail


def _frame(event: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), msgspec.json.encode(event))


def _head(reply: Reply) -> Iterator[bytes]:
    usage = usage_body(reply.tokens) | {"output_tokens": PLACEHOLDER}
    begun: dict[str, Any] = {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": usage,
    }
    yield _frame({"type": "message_start", "message": message_body(reply) | begun})
    yield _frame({"type": "ping"})


def _tail(reply: Reply) -> Iterator[bytes]:
    usage = usage_body(reply.tokens)
    counted = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    delta = {
        "stop_reason": reply.stop_reason,
        "stop_sequence": reply.stop_sequence,
        "stop_details": reply.stop_details,
    }
    told = {name: usage[name] for name in counted}
    if reply.tokens.thinking:
        told["output_tokens_details"] = usage["output_tokens_details"]
    yield _frame({"type": "message_delta", "delta": delta, "usage": told})
    yield _frame({"type": "message_stop"})


def _blocks(reply: Reply) -> Iterator[bytes]:
    for index, block in enumerate(reply.content):
        empty, deltas = _open(block)
        yield _frame({"type": "content_block_start", "index": index, "content_block": empty})
        for delta in deltas:
            yield _frame({"type": "content_block_delta", "index": index, "delta": delta})
        yield _frame({"type": "content_block_stop", "index": index})


def _open(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A content block as it starts, empty, and the deltas that fill it."""
    if block["type"] == "thinking":
        return thinking.opened(block, _PIECE.findall(block["thinking"]))
    if block["type"] == "text":
        return block | {"text": ""}, [
            {"type": "text_delta", "text": piece} for piece in _PIECE.findall(block["text"])
        ]
    written = msgspec.json.encode(block["input"]).decode()
    halves = ("", written[: len(written) // 2], written[len(written) // 2 :])
    return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": half} for half in halves]
