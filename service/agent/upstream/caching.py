"""Prompt -> arguments of the Messages API: where its cache keeps the prompt, and how the model thinks. Pure.

Refuses a breakpoint that cannot pay: below what the model's cache keeps it would be passed over. Changes
nothing else: a prefix that differs by a byte is another one.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal

from service.agent.hold import Message
from service.agent.lengths import encoded, remembered
from service.agent.model import Prompt
from service.agent.upstream import abilities

Cache = Literal["off", "5m", "1h"]
"""How long the vendor keeps a prefix after it was last read; `off`: it is not asked to."""

BYTES_A_TOKEN = 2
"""Fewer than most text has: a breakpoint too many costs nothing, one too few the whole prefix."""
KEPT_MESSAGES = 2
"""Breakpoints among the messages: at what is asked now, and at what was asked before it."""


def arguments(prompt: Prompt, cache: Cache = "off") -> dict[str, Any]:
    """What `messages.create` is called with; what is empty is left out."""
    plain: dict[str, Any] = {"model": prompt.model, "max_tokens": prompt.max_tokens, **counted(prompt)}
    return plain if cache == "off" else plain | _kept(prompt, cache)


def counted(prompt: Prompt) -> dict[str, Any]:
    """The part of it that is input, which `count_tokens` takes as well."""
    given = {
        "tools": list(prompt.tools),
        "system": prompt.system,
        "messages": list(prompt.messages),
        "thinking": _thinking(prompt),
    }
    return {key: value for key, value in given.items() if value}


def _thinking(prompt: Prompt) -> dict[str, Any] | None:
    """How to ask this model to show what it thinks; nothing where it cannot, or has no room for it."""
    thinks, asked = abilities.of(prompt.model).thinks, prompt.thinking
    if asked is None or thinks == "never":
        return None
    if thinks == "adaptive":
        return {"type": "adaptive", "display": "summarized"}
    budget = min(asked.budget_tokens or prompt.max_tokens // 2, prompt.max_tokens - 1)
    return {"type": "enabled", "budget_tokens": budget} if budget >= abilities.LEAST_BUDGET else None


def _kept(prompt: Prompt, cache: Cache) -> dict[str, Any]:
    """The parts that bear a breakpoint: the last of what every turn has, and the last two questions.

    The later of the two writes what the next call reads; the earlier one is where the call before wrote, so
    that it is found however many blocks the answer between them has: the vendor looks back over 20 only.
    """
    least, mark = abilities.of(prompt.model).cache_least * BYTES_A_TOKEN, _mark(cache)
    size = _of_tools(prompt.tools) + len(prompt.system.encode("utf-8", "replace"))
    kept: dict[str, Any] = {}
    if size >= least and prompt.system:
        kept["system"] = [{"type": "text", "text": prompt.system, **mark}]
    elif size >= least:
        kept["tools"] = [*prompt.tools[:-1], {**prompt.tools[-1], **mark}]
    places = _places(prompt.messages, least - size)
    marked = [_marked(each, mark) if at in places else each for at, each in enumerate(prompt.messages)]
    return kept | {"messages": marked}


def _mark(cache: Cache) -> dict[str, Any]:
    """A breakpoint; five minutes are the API's own default, and need no word."""
    return {"cache_control": {"type": "ephemeral"} | ({"ttl": cache} if cache == "1h" else {})}


def _places(messages: Sequence[Message], wanted: int) -> Sequence[int]:
    """Which messages end in a breakpoint, of those up to which the prompt is long enough to be kept."""
    asked = [at for at, message in enumerate(messages) if message["role"] == "user" and message["content"]]
    grown = accumulate(map(encoded, messages))
    first = next((at for at, length in enumerate(grown) if length >= wanted), len(messages))
    return [at for at in asked[-KEPT_MESSAGES:] if at >= first]


def _marked(message: Message, mark: Mapping[str, Any]) -> Message:
    """The message with a breakpoint at its end; a text alone is short for a block, for the API as well."""
    blocks = message["content"]
    if isinstance(blocks, str):
        blocks = [{"type": "text", "text": blocks}]
    return {**message, "content": [*blocks[:-1], {**blocks[-1], **mark}]}


@remembered
def _of_tools(tools: Sequence[Mapping[str, Any]]) -> int:
    return sum(map(encoded, tools))
