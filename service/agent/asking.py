"""One question to a model: each piece is recorded where it is a fact, and said where a client waits for it.

Refuses another model once content was heard or a tool ran: an answer is of one model.
"""

from functools import partial

from msgspec import structs

from service.agent import worst
from service.agent.agent import Agent
from service.agent.channel import Channel
from service.agent.conversation.history import without_thinking
from service.agent.events import Began, Text, Thought
from service.agent.granted import Allowing
from service.agent.model import (
    Answering,
    ContentBegan,
    Counted,
    Hear,
    Piece,
    Prompt,
    Reply,
    TextPiece,
    ThinkingPiece,
)
from service.agent.upstream import patience
from service.agent.upstream.patience import Chances
from service.errors import BudgetSpent, TokensSpent, UpstreamError
from telemetry import names
from telemetry.recorder import OpenModelCall, OpenTurn


async def ask(
    agent: Agent, turn: OpenTurn, prompt: Prompt, channel: Channel, allowing: Allowing
) -> tuple[Reply, str]:
    """Ask the model, or one of those that stand in for it; return the answer and who gave it.

    Raises:
        ServiceError: the model's API fails; where others were asked too, the error is that of the first.
    """
    try:
        return await _ask(agent, turn, prompt, channel), prompt.model
    except UpstreamError as error:
        for other in _others(agent, turn, prompt, error):
            if reply := await _instead(agent, turn, other, channel, allowing):
                return reply, other.model
        raise


def _others(agent: Agent, turn: OpenTurn, prompt: Prompt, error: UpstreamError) -> list[Prompt]:
    """The same question to others; none where that would help nobody, or harm."""
    if not error.transient or turn.heard or turn.tools_ran:
        return []
    messages = without_thinking(prompt.messages)
    models = agent.instead_of(prompt.model, turn.opening.caller)
    return [structs.replace(prompt, model=model, messages=messages) for model in models]


async def _instead(
    agent: Agent, turn: OpenTurn, prompt: Prompt, channel: Channel, allowing: Allowing
) -> Reply | None:
    """Ask another model; None where it may not be asked, or cannot answer either."""
    if turn.heard or not await _allowed(agent, turn, prompt, allowing):
        return None
    try:
        return await _ask(agent, turn, prompt, channel)
    except UpstreamError:
        if turn.heard:
            raise
        return None


async def _allowed(agent: Agent, turn: OpenTurn, prompt: Prompt, allowing: Allowing) -> bool:
    """Whether the caller may have another call, of that model."""
    try:
        may = await allowing.model(prompt.model)
        if may:
            await allowing.call(partial(worst.of_call, prompt, agent.prices), turn.cost_micros)
    except (BudgetSpent, TokensSpent):
        return False
    return may


async def _ask(agent: Agent, turn: OpenTurn, prompt: Prompt, channel: Channel) -> Reply:
    host, port = agent.model.address
    known = {
        names.PROVIDER_NAME: agent.model.provider,
        names.REQUEST_MAX_TOKENS: prompt.max_tokens,
        names.REQUEST_STREAM: True,
        names.SERVER_ADDRESS: host,
        names.SERVER_PORT: port,
    }
    chances = Chances(
        again=not turn.tools_ran and not turn.heard,
        left=lambda: agent.seconds - turn.seconds,
        guard=agent.guards.of(prompt.model),
    )
    with turn.model_call(prompt.model, known) as call:
        hear = _listener(agent, turn, call, channel, shown=prompt.thinking is not None)
        reply = await patience.ask(agent.model, prompt, hear, call, chances)
        call.stopped(reply.stop_reason)
    return reply


def _listener(agent: Agent, turn: OpenTurn, call: OpenModelCall, channel: Channel, *, shown: bool) -> Hear:
    """What is done with each piece; what the model thinks is `shown` to those who asked for it."""

    async def hear(piece: Piece) -> None:
        match piece:
            case Answering(response_id, model):
                call.answering(response_id, model)
            case Counted(usage, source):
                priced = agent.prices.price(call.model, usage)
                call.counted(usage, priced.cost_micros, priced.priced_as, source, priced.uncached_micros)
            case ContentBegan():
                call.content()
                await channel.begin(began(turn, call.model))
            case TextPiece() | ThinkingPiece():
                await _say(turn, channel, piece, shown=shown)

    return hear


async def _say(turn: OpenTurn, channel: Channel, piece: TextPiece | ThinkingPiece, *, shown: bool) -> None:
    if isinstance(piece, TextPiece):
        turn.answered(piece.text)
        await channel.say(Text(piece.text))
    elif shown:
        await channel.say(Thought(piece.text))


def began(turn: OpenTurn, model: str) -> Began:
    """The first event: this model answers."""
    opening = turn.opening
    return Began(opening.turn_id, opening.conversation_id or "", model, opening.trace_id)
