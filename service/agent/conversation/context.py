"""What of a conversation the model is told: the latest turns, whole, as many as its window has room for.

Refuses a question that has none itself, before anybody is asked. What turns take is what the provider
counted; what nobody counted is estimated by its length.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from msgspec import Struct, structs

from service.agent.conversation import history
from service.agent.lengths import remembered
from service.agent.model import Prompt
from service.errors import TooLarge
from service.store.conversations import KeptTurn
from telemetry.failure import FieldError
from telemetry.record import History

BYTES_A_TOKEN = 3
"""Of text that nobody counted: fewer than English has, so that what is estimated rather fits."""
MEDIUM_BYTES = 4_800
"""An image or a document counts as much at least; beyond that a twentieth of its encoding."""
MEDIUM_SHARE = 20
SPARE = 50
"""A fiftieth of the window stays free of history: for what estimates miss, and for results of tools."""
TOO_LONG = "The question is too long: the model takes {window} tokens, of which the answer may be {answer}."


class Fitted(Struct, frozen=True):
    """A prompt with the history that it has room for; `before` are the tokens of all but its question."""

    prompt: Prompt
    history: History
    before: int


def fitted(prompt: Prompt, turns: Sequence[KeptTurn], window: int) -> Fitted:
    """Tell the model what was said in these turns, oldest first, before its question; `window` is tokens.

    Raises:
        TooLarge: the question alone has no room beside the system prompt, the tools and the answer.
    """
    fixed = tokens_of(prompt.system) + _of_tools(prompt.tools)
    room = window - prompt.max_tokens - fixed - tokens_of(prompt.messages)
    if room < 0:
        said = TOO_LONG.format(window=window, answer=prompt.max_tokens)
        raise TooLarge(said, fields=(FieldError("message", "Too long for the model's window"),))
    kept = latest(turns, room - window // SPARE)
    tokens = sum(map(weight, kept))
    told = history.told_again(kept, prompt.model)
    return Fitted(
        structs.replace(prompt, messages=(*told, *prompt.messages)),
        History(turns=len(kept), dropped=_before(turns, kept), tokens=tokens),
        fixed + tokens,
    )


def latest(turns: Sequence[KeptTurn], room: int) -> Sequence[KeptTurn]:
    """The last turns that fit into so many tokens: none is told whose successor is not."""
    first, left = len(turns), room
    while first and (left := left - weight(turns[first - 1])) >= 0:
        first -= 1
    return turns[first:]


def weight(turn: KeptTurn) -> int:
    """Tokens of a turn: those that it added when it was asked; of an early one an estimate."""
    return tokens_of(turn.messages) if turn.tokens is None else turn.tokens


def tokens_of(part: str | Sequence[Mapping[str, Any]]) -> int:
    """What a part of a prompt takes that nobody counted."""
    return -(-_bytes(part) // BYTES_A_TOKEN)


@remembered
def _of_tools(tools: Sequence[Mapping[str, Any]]) -> int:
    return tokens_of(tools)


def _before(turns: Sequence[KeptTurn], kept: Sequence[KeptTurn]) -> int:
    """How many turns there were before these: a turn's position is one more than its predecessor's."""
    return kept[0].position - 1 if kept else max((turn.position for turn in turns), default=0)


def _bytes(part: Any) -> int:
    if isinstance(part, str):
        return len(part.encode("utf-8", "surrogatepass"))
    if isinstance(part, Mapping):
        return _of_object(cast("Mapping[str, Any]", part))
    if isinstance(part, Sequence):
        return sum(map(_bytes, cast("Sequence[Any]", part)))
    return BYTES_A_TOKEN


def _of_object(part: Mapping[str, Any]) -> int:
    """Names count as their values do; a file counts by what it shows, of which its bytes say little."""
    if part.get("type") == "base64":
        return max(MEDIUM_BYTES, len(part.get("data", "")) // MEDIUM_SHARE)
    return sum(_bytes(name) + _bytes(value) for name, value in part.items())
