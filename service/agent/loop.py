"""Ask the model, run the tools it wants, ask again: until it wants none.

Refuses to go on after the allowed rounds: a model that never stops asking is an error of its own. Refuses to
run a tool for an answer that ended otherwise, cut off by its length say: its arguments may be a part only.
"""

from collections.abc import Sequence
from functools import partial

from msgspec import structs

from service.agent import worst
from service.agent.agent import Agent
from service.agent.asking import ask, began
from service.agent.channel import Channel
from service.agent.hold import Message
from service.agent.model import Prompt, Reply, ToolUse
from service.agent.tooling import Means, run_all
from service.errors import UpstreamFailed
from telemetry.recorder import OpenTurn

TOOLS_WANTED = "tool_use"
PAUSED = "pause_turn"


async def converse(
    agent: Agent, turn: OpenTurn, prompt: Prompt, channel: Channel, means: Means
) -> Sequence[Message]:
    """Answer one question, saying each event as it comes; return what was said after the prompt.

    Raises:
        ServiceError: when the model's API fails, or asks for tools in more rounds than allowed.
    """
    messages, allowing = list(prompt.messages), means.allowing
    for rounds_left in range(agent.max_rounds, -1, -1):
        asked = structs.replace(prompt, messages=tuple(messages))
        if rounds_left < agent.max_rounds:
            await allowing.call(partial(worst.of_call, asked, agent.prices), turn.cost_micros)
        reply, model = await ask(agent, turn, asked, channel, allowing)
        prompt = structs.replace(prompt, model=model)
        if not _wanted(reply) and reply.stop_reason != PAUSED:
            await channel.begin(began(turn, model))  # an answer without content begins all the same
            return [*messages[len(prompt.messages) :], *_spoken(reply)]
        if rounds_left:
            messages += await _go_on(means, turn, reply, channel)
    raise UpstreamFailed(f"The model asked for tools in more than {agent.max_rounds} rounds.")


async def _go_on(means: Means, turn: OpenTurn, reply: Reply, channel: Channel) -> Sequence[Message]:
    """What the model is told next: its own words, unchanged, and what its tools gave."""
    messages = [*_spoken(reply)]
    if wanted := _wanted(reply):
        results = await run_all(means, turn, wanted, channel)
        messages.append({"role": "user", "content": results})
    return messages


def _wanted(reply: Reply) -> Sequence[ToolUse]:
    """The tools to run; none where the answer ended for another reason than to have them run."""
    return reply.tool_uses if reply.stop_reason == TOOLS_WANTED else ()


def _spoken(reply: Reply) -> Sequence[Message]:
    """What the model said, without calls that get no result: the API refuses one without the other."""
    ran = bool(_wanted(reply))
    content = [block for block in reply.content if ran or block.get("type") != "tool_use"]
    return [{"role": "assistant", "content": content}] if content else []
