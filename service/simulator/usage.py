"""Token counts, estimated from the length of what was sent and said.

Refuses to be exact: a token is four characters, always, so that the same question costs the same.
"""

from typing import Any

import msgspec
from msgspec import Struct

from service.simulator.answers import Answer
from service.simulator.messages import Count

CHARACTERS_PER_TOKEN = 4


class Tokens(Struct, frozen=True, kw_only=True):
    """What one request uses; the whole input is `uncached` + `written` + `read`.

    `written_1h` is the part of `written` that is kept for an hour.
    """

    uncached: int
    written: int
    written_1h: int
    read: int
    output: int

    @property
    def input(self) -> int:
        """All input tokens, cached or not."""
        return self.uncached + self.written + self.read


def tokens_of(text: str | bytes) -> int:
    """Estimate the tokens of a text, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def measure(request: Count, answer: Answer | None = None) -> Tokens:
    """Estimate what a request and its answer use.

    System prompt and tools are the cached prefix: written by the first call of a conversation (one
    without an assistant message yet), read by every later one. It is written for an hour where one of
    its parts asks for that.
    """
    prefix = _prefix_tokens(request)
    read = prefix if any(message.role == "assistant" for message in request.messages) else 0
    written = prefix - read
    return Tokens(
        uncached=max(1, tokens_of(msgspec.json.encode(request.messages))),
        written=written,
        written_1h=written if _lasts_an_hour(request) else 0,
        read=read,
        output=output_tokens(answer) if answer else 0,
    )


def output_tokens(answer: Answer) -> int:
    """Estimate the tokens of an answer; even an empty one has one."""
    calls = sum(tokens_of(call.name) + tokens_of(msgspec.json.encode(call.input)) for call in answer.calls)
    return max(1, tokens_of(answer.text) + calls)


def usage_body(tokens: Tokens) -> dict[str, Any]:
    """Say usage as the API's `usage` object does."""
    return {
        "input_tokens": tokens.uncached,
        "cache_creation_input_tokens": tokens.written,
        "cache_read_input_tokens": tokens.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.written - tokens.written_1h,
            "ephemeral_1h_input_tokens": tokens.written_1h,
        },
        "output_tokens": tokens.output,
        "output_tokens_details": None,
        "server_tool_use": None,
        "service_tier": "standard",
        "inference_geo": "global",
    }


def _prefix_tokens(request: Count) -> int:
    system = request.system if isinstance(request.system, str) else msgspec.json.encode(request.system)
    return tokens_of(system) + sum(tokens_of(msgspec.json.encode(tool)) for tool in request.tools)


def _lasts_an_hour(request: Count) -> bool:
    blocks = request.system if isinstance(request.system, list) else []
    marked = (part.cache_control for part in (*blocks, *request.tools))
    return any(control is not None and control.ttl == "1h" for control in marked)
