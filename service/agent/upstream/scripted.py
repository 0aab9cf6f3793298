"""A double shipped with the product: a Model that says what its script tells it, errors and pauses included.

Refuses to improvise: asked more often than its script has answers, it fails.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from service.agent.model import (
    Answering,
    ContentBegan,
    Counted,
    Hear,
    Piece,
    Prompt,
    Reply,
    TextPiece,
    ToolUse,
)
from telemetry.record import Usage, UsageSource

RESPONSE_ID = "msg_scripted"
MODEL = "scripted"
REQUEST_ID = "req_scripted"
USAGE = Usage(input_tokens=10, output_tokens=5)


class Pause(Struct, frozen=True):
    """The model is silent until this ends: `event.wait`, or `partial(asyncio.sleep, 1)`."""

    until: Callable[[], Awaitable[object]]


Step = Piece | Pause | Exception | Reply
"""A piece is told, a pause awaited, an exception raised; a Reply ends the answer."""


class ScriptedModel:
    """A Model that plays one list of steps for each question, in order; `prompts` are the questions."""

    provider, address = "scripted", ("127.0.0.1", 0)

    def __init__(self, *answers: Sequence[Step]) -> None:
        self._answers = list(answers)
        self.prompts: list[Prompt] = []

    async def ask(self, prompt: Prompt, hear: Hear) -> Reply:
        """Play the next answer.

        Raises:
            Exception: the script says so.
            LookupError: the script has no further answer, or this one has no end.
        """
        self.prompts.append(prompt)
        if len(self.prompts) > len(self._answers):
            raise LookupError(f"The script has {len(self._answers)} answers; this question is one more.")
        for step in self._answers[len(self.prompts) - 1]:
            if isinstance(step, Reply):
                return step
            await _play(step, hear)
        raise LookupError("The scripted answer has no Reply at its end.")


def begin(usage: Usage = USAGE) -> tuple[Step, ...]:
    """The steps of an answer that begins: nothing of its content is there yet."""
    first = msgspec.structs.replace(usage, output_tokens=1)
    return (Answering(RESPONSE_ID, MODEL), Counted(first, UsageSource.ESTIMATED))


def say(*pieces: str, stop_reason: str = "end_turn", usage: Usage = USAGE) -> tuple[Step, ...]:
    """The steps of an answer in text, told piece by piece; without any it has no content."""
    content = [{"type": "text", "text": "".join(pieces)}] if pieces else []
    told = [ContentBegan(), *map(TextPiece, pieces)] if pieces else []
    return (*begin(usage), *told, Counted(usage), _reply(content, stop_reason))


def use(*wanted: ToolUse, usage: Usage = USAGE) -> tuple[Step, ...]:
    """The steps of an answer that wants tools."""
    content = [
        {"type": "tool_use", "id": each.call_id, "name": each.name, "input": each.arguments or {}}
        for each in wanted
    ]
    began = [ContentBegan() for _ in wanted]
    return (*begin(usage), *began, Counted(usage), _reply(content, "tool_use", wanted))


def _reply(content: Sequence[dict[str, Any]], stop_reason: str, wanted: Sequence[ToolUse] = ()) -> Reply:
    return Reply(content=content, stop_reason=stop_reason, tool_uses=wanted, request_id=REQUEST_ID)


async def _play(step: Piece | Pause | Exception, hear: Hear) -> None:
    if isinstance(step, Exception):
        raise step
    if isinstance(step, Pause):
        await step.until()
    else:
        await hear(step)
