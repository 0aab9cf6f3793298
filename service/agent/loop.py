"""Ask the model, run the tools it wants, ask again: until it wants none.

Refuses to go on after the allowed rounds: a model that never stops asking is an error of its own. Refuses to
run a tool for an answer that ended otherwise, cut off by its length say: its arguments may be a part only.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct, structs

from service.agent import worst
from service.agent.agent import Agent, Offered
from service.agent.asking import ask, began
from service.agent.channel import Channel
from service.agent.events import ToolEnded, ToolStarted
from service.agent.granted import Allowing
from service.agent.hold import Message
from service.agent.model import Prompt, Reply, ToolUse
from service.errors import ToolFailed, ToolForbidden, ToolLimited, UpstreamFailed, classify
from service.tools import Errand
from telemetry import names
from telemetry.record import Caller, ToolCall, ToolOutcome
from telemetry.recorder import OpenTurn

TOOLS_WANTED = "tool_use"
PAUSED = "pause_turn"


class Means(Struct, frozen=True):
    """What a turn has to work with: the tools its caller's model is offered, and leave to use them.

    `allowing` is asked before every call of the model but the first, and before every tool.
    """

    tools: Offered
    allowing: Allowing
    caller: Caller

    async def run(self, use: ToolUse, turn_id: str) -> str:
        """Run a tool for the caller; raises ToolFailed."""
        self.tools.find(use.name)
        await self.allowing.tool(use.name)
        errand = Errand(caller=self.caller, turn_id=turn_id, call_id=use.call_id)
        return await self.tools.run(use.name, _arguments(use), errand)


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
        results = [await _run(means, turn, use, channel) for use in wanted]
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


async def _run(means: Means, turn: OpenTurn, use: ToolUse, channel: Channel) -> dict[str, Any]:
    """Run one tool; its failure is told to the model, and to nobody else."""
    await channel.say(ToolStarted(use.call_id, use.name))
    content, call = await _result(means, turn, use)
    await channel.say(ToolEnded(call.call_id, call.name, call.outcome, round(call.seconds * 1000)))
    failed = call.outcome is not ToolOutcome.FINISHED
    return {"type": "tool_result", "tool_use_id": use.call_id, "content": content, "is_error": failed}


async def _result(means: Means, turn: OpenTurn, use: ToolUse) -> tuple[str, ToolCall]:
    with turn.tool_call(_span_name(means.tools, use.name), use.call_id) as tool:
        tool.call = structs.replace(tool.call, name=use.name)  # the record says what the model wrote
        try:
            content = await means.run(use, turn.opening.turn_id)
        except (ToolForbidden, ToolLimited) as error:
            tool.denied(classify(error))
            content = error.detail
        except ToolFailed as error:
            tool.failed(classify(error))
            content = error.detail
    return content, tool.call


def _span_name(tools: Offered, name: str) -> str:
    """A tool's name; `other` for one that the model made up, of which it could make any number."""
    return name if any(each.get("name") == name for each in tools.definitions) else names.OTHER


def _arguments(use: ToolUse) -> Mapping[str, Any]:
    if use.arguments is None:
        raise ToolFailed("The arguments are not a JSON object.")
    return use.arguments
