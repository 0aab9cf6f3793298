"""How the simulated model thinks: as its request asks and its model takes it, in blocks that are signed.

Refuses what each model refuses, and thinking that is given back altered or to another model than its own.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal

import msgspec
from msgspec import Struct

from service.simulator.error import ApiError
from service.simulator.messages import Block, Count, Message, Question

LEAST_BUDGET = 1_024
QUOTED = 80
_ADAPTIVE = re.compile(r"claude-(?:opus|sonnet|haiku|fable)-5(?:-|$)")
_BUDGET = re.compile(r"claude-haiku-4-5(?:-|$)")
_USE = 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'


class Manner(Struct, frozen=True, kw_only=True):
    """How to think, as the request says it."""

    type: Literal["adaptive", "enabled", "disabled", "between_tools"]
    display: Literal["summarized", "omitted"] | None = None
    budget_tokens: int = 0

    @property
    def shown(self) -> bool:
        """Whether the text comes with it; models that decide themselves keep it back unless asked."""
        return self.display == "summarized" or (self.type == "enabled" and self.display is None)


class Thought(Struct, frozen=True, kw_only=True):
    """What is thought before an answer: `text` as it is told, `tokens` of all of it."""

    text: str
    tokens: int
    signature: str

    def block(self) -> dict[str, Any]:
        """The content block."""
        return {"type": "thinking", "thinking": self.text, "signature": self.signature}


def think(request: Question, asked: str) -> Thought | None:
    """What the model thinks about a question, where it is asked to."""
    manner = manner_of(request)
    if manner is None or manner.type not in {"adaptive", "enabled"}:
        return None
    whole = f"The question is: {' '.join(asked.split())[:QUOTED]} So much for that; now the answer."
    text = whole if manner.shown else ""
    tokens = -(-len(whole) // 4)
    return Thought(text=text, tokens=tokens, signature=sign(request.model, text))


def manner_of(request: Count) -> Manner | None:
    """How the request wants it to think; None where it says nothing.

    Raises:
        ApiError: 400, where that is no way to think.
    """
    try:
        return msgspec.convert(request.thinking, Manner) if request.thinking is not None else None
    except msgspec.ValidationError as error:
        raise ApiError(400, f"thinking: {error}") from None


def review_thinking(request: Count) -> None:
    """Check how the request wants the model to think, and what was thought before.

    Raises:
        ApiError: 400, naming the field.
    """
    manner = manner_of(request)
    if manner and _ADAPTIVE.match(request.model) and manner.type == "enabled":
        raise ApiError(400, f'"thinking.type.enabled" is not supported for this model. {_USE}')
    if manner and _BUDGET.match(request.model) and manner.type == "adaptive":
        raise ApiError(400, "adaptive thinking is not supported on this model")
    if manner and manner.type == "enabled":
        _review_budget(request, manner)
    for index, message in enumerate(request.messages):
        _review_blocks(f"messages.{index}", message, request.model)


def _review_budget(request: Count, manner: Manner) -> None:
    if manner.budget_tokens < LEAST_BUDGET:
        least = f"Input should be greater than or equal to {LEAST_BUDGET}"
        raise ApiError(400, f"thinking.enabled.budget_tokens: {least}")
    if isinstance(request, Question) and request.max_tokens <= manner.budget_tokens:
        raise ApiError(400, "`max_tokens` must be greater than `thinking.budget_tokens`")


def _review_blocks(place: str, message: Message, model: str) -> None:
    for index, block in enumerate(message.blocks):
        if block.type == "thinking" and not _genuine(block, model):
            raise ApiError(400, f"{place}.content.{index}: Invalid `signature` in `thinking` block")


def _genuine(block: Block, model: str) -> bool:
    return block.thinking is not None and block.signature == sign(model, block.thinking)


def sign(model: str, text: str) -> str:
    """The signature of what a model thought."""
    return b64encode(sha256(f"{model}\n{text}".encode()).digest()).decode()


def opened(block: Mapping[str, Any], pieces: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A thinking block as it starts in a stream, and the deltas that fill it: its signature is the last."""
    deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    signed = {"type": "signature_delta", "signature": block["signature"]}
    return {**block, "thinking": "", "signature": ""}, [*deltas, signed]
