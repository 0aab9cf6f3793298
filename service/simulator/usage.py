"""Token counts, estimated from the length of what was sent and said.

Refuses to be exact: a token is four characters, always, so that the same question costs the same.
"""

from typing import Any

import msgspec
from msgspec import Struct

from service.simulator.answers import Answer
from service.simulator.messages import Count
from service.simulator.prefix import places, tokens_of


class Tokens(Struct, frozen=True, kw_only=True):
    """What one request uses; the whole input is `uncached` + `written` + `read`.

    `written_1h` is the part of `written` that is kept for an hour.
    """

    uncached: int
    written: int = 0
    written_1h: int = 0
    read: int = 0
    output: int = 0
    thinking: int = 0
    """The part of `output` that is thinking."""

    @property
    def input(self) -> int:
        """All input tokens, cached or not."""
        return self.uncached + self.written + self.read


def measure(request: Count) -> Tokens:
    """Estimate a request's input, where nothing of it is cached.

    Raises:
        ApiError: 400, over its breakpoints.
    """
    return Tokens(uncached=max(1, places(request, "")[-1].tokens))


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
        "output_tokens_details": {"thinking_tokens": tokens.thinking} if tokens.thinking else None,
        "server_tool_use": None,
        "service_tier": "standard",
        "inference_geo": "global",
    }
