"""One answer of the API: its identity, content and usage, as the body of a message.

Refuses to say more than it was allowed: `max_tokens` and `stop_sequences` cut here.
"""

from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Struct

from service.simulator.answers import Answer, question_text
from service.simulator.messages import Question
from service.simulator.prefix import CHARACTERS_PER_TOKEN
from service.simulator.thinking import think
from service.simulator.usage import Tokens, measure, output_tokens


class Reply(Struct, frozen=True, kw_only=True):
    """What is delivered, as JSON or as a stream; `content` are the blocks of the API."""

    id: str
    model: str
    content: tuple[dict[str, Any], ...]
    stop_reason: str
    stop_sequence: str | None
    tokens: Tokens

    @property
    def stop_details(self) -> dict[str, Any] | None:
        """Why a refusal refused; None for every other stop."""
        if self.stop_reason != "refusal":
            return None
        return {"type": "refusal", "category": None, "explanation": "The message asked for it: [sim:refuse]."}


def reply_to(request: Question, answer: Answer, given: Tokens | None = None) -> Reply:
    """Build the reply, cut to what the request allows; `given` is its input, where some of it is cached."""
    thought = think(request, question_text(request))
    spent = thought.tokens if thought else 0
    allowed = _within_tokens(_before_stop(answer, request.stop_sequences), max(0, request.max_tokens - spent))
    used = output_tokens(allowed) + spent
    return Reply(
        id=f"msg_{uuid4().hex[:24]}",
        model=request.model,
        content=(*([thought.block()] if thought else []), *_content(allowed)),
        stop_reason=allowed.stop_reason,
        stop_sequence=allowed.stop_sequence,
        tokens=msgspec.structs.replace(given or measure(request), output=used, thinking=spent),
    )


def _before_stop(answer: Answer, sequences: list[str]) -> Answer:
    places = [(answer.text.find(sequence), sequence) for sequence in sequences if sequence in answer.text]
    if not places:
        return answer
    place, sequence = min(places)
    text = answer.text[:place]
    return msgspec.structs.replace(answer, text=text, stop_reason="stop_sequence", stop_sequence=sequence)


def _within_tokens(answer: Answer, most: int) -> Answer:
    if output_tokens(answer) <= most:
        return answer
    return Answer(text=answer.text[: most * CHARACTERS_PER_TOKEN], stop_reason="max_tokens")


def _content(answer: Answer) -> tuple[dict[str, Any], ...]:
    texts = [{"type": "text", "text": answer.text}] if answer.text else []
    calls = [
        {"type": "tool_use", "id": f"toolu_{uuid4().hex[:24]}", "name": call.name, "input": call.input}
        for call in answer.calls
    ]
    return (*texts, *calls)
