"""What we ask of a model, whoever makes it.

Content goes through unread: what a model said is given back to it unchanged in the next round.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from telemetry.record import Usage, UsageSource

Content = Mapping[str, Any]
"""One content block in the Messages API's form."""


class Measured(Struct, frozen=True, kw_only=True):
    """Tokens that a model's API counted in a prompt as far as its first `messages` messages."""

    model: str
    messages: int
    tokens: int


class Thinking(Struct, frozen=True, kw_only=True):
    """The model is to show its thinking; `budget_tokens` is for models that do not decide how long."""

    budget_tokens: int | None = None


class Prompt(Struct, frozen=True, kw_only=True):
    """One question: messages and tools in the Messages API's form, `max_tokens` for the answer."""

    model: str
    system: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]]
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    """The JSON schema that the answer's text has to fit, if it is to be JSON."""
    attached_tokens: int = 0
    """The most tokens that the images and documents in the messages are."""
    thinking: Thinking | None = None
    """None: what the model does unasked, and nobody sees."""
    measured: Measured | None = None


class Answering(Struct, frozen=True):
    """The model began to answer."""

    response_id: str
    model: str


class ContentBegan(Struct, frozen=True):
    """A content block begins: text, thinking or a tool call."""


class TextPiece(Struct, frozen=True):
    """A piece of the answer's text."""

    text: str


class ThinkingPiece(Struct, frozen=True):
    """A piece of what the model thinks, for those who asked for it: no part of the answer."""

    text: str


class Counted(Struct, frozen=True):
    """Tokens so far, and how they are known; replaces what was said before."""

    usage: Usage
    source: UsageSource = UsageSource.REPORTED


Piece = Answering | ContentBegan | TextPiece | ThinkingPiece | Counted
Hear = Callable[[Piece], Awaitable[None]]


class ToolUse(Struct, frozen=True):
    """A tool the model wants; `arguments` is None where what it wrote is no JSON object."""

    call_id: str
    name: str
    arguments: Mapping[str, Any] | None


class Reply(Struct, frozen=True, kw_only=True):
    """A whole answer: its content blocks as they are to be given back, and the tools it wants."""

    content: Sequence[Content]
    stop_reason: str
    tool_uses: Sequence[ToolUse] = ()
    request_id: str | None = None


class Model(Protocol):
    """Asks once, without retries of its own."""

    provider: str
    """Whose API it is, as `gen_ai.provider.name` has it: "anthropic", "openai"."""
    address: tuple[str, int]
    """Host and port of the API, for the span."""

    async def ask(self, prompt: Prompt, hear: Hear) -> Reply:
        """Tell the pieces as they come, then return the whole.

        Raises:
            service.errors.UpstreamError: whatever went wrong, in our words.
        """
        ...


@runtime_checkable
class Counting(Protocol):
    """A model whose API counts tokens; one that does not lacks the method."""

    async def count(self, prompt: Prompt) -> int:
        """How many tokens the prompt has as input.

        Raises:
            service.errors.UpstreamError: whatever went wrong, in our words.
        """
        ...
