"""Runs the tools that the model wants: those of one round beside each other, told in the order asked for.

Refuses to run one that is denied, by role, limit or person: the model is told so, as of every failure.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from service.agent.agent import Offered
from service.agent.approval.approving import Approving, Nobody, Wanted
from service.agent.channel import Channel
from service.agent.events import ToolEnded, ToolStarted
from service.agent.framing import Frame
from service.agent.granted import Allowing
from service.agent.model import ToolUse
from service.errors import ToolDenied, ToolFailed, ToolLimited, classify
from service.tools import Errand
from telemetry import names
from telemetry.record import Caller, ToolCall, ToolOutcome
from telemetry.recorder import OpenToolCall, OpenTurn

TOO_MANY = "Tools were called {} times in this turn, which is all that one may; answer with what there is."

Result = dict[str, Any]
"""What the model is told of one call, in the Messages API's form."""


class Means(Struct, frozen=True):
    """What a turn has to work with: the tools its caller's model is offered, and leave to use them.

    `allowing` is asked before every call of the model but the first, and before every tool; `approving`
    before a tool that somebody has to say yes to. `frame` marks what tools give; `max_calls` is how often the
    turn may call any.
    """

    tools: Offered
    allowing: Allowing
    caller: Caller
    approving: Approving = Nobody()
    frame: Frame = Frame("")
    max_calls: int = 32


async def run_all(
    means: Means, turn: OpenTurn, wanted: Sequence[ToolUse], channel: Channel
) -> Sequence[Result]:
    """Run what the model wants and say each start and end; the results are in the order asked for.

    A turn that is cancelled meanwhile cancels all that run, and waits for them.
    """
    results: list[Result] = []
    for batch in _batches(means.tools, wanted):
        for use in batch:
            await channel.say(ToolStarted(use.call_id, use.name))
        results += await _together(_run(means, turn, use, channel) for use in batch)
    return results


def _batches(tools: Offered, wanted: Sequence[ToolUse]) -> Sequence[Sequence[ToolUse]]:
    """What may run at one time, in order: one that runs alone waits for those before it, and they for it."""
    batches: list[list[ToolUse]] = []
    apart = True
    for use in wanted:
        alone = _runs_alone(tools, use.name)
        if alone or apart:
            batches.append([])
        batches[-1].append(use)
        apart = alone
    return batches


def _runs_alone(tools: Offered, name: str) -> bool:
    try:
        return tools.find(name).runs_alone
    except ToolFailed:
        return False


async def _together(works: Iterable[Coroutine[Any, Any, Result]]) -> Sequence[Result]:
    """Do all at once; where one raises, end the others and raise the same."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _run(means: Means, turn: OpenTurn, use: ToolUse, channel: Channel) -> Result:
    """Run one tool; its failure is told to the model, and to nobody else."""
    content, call = await _result(means, turn, use, channel)
    await channel.say(ToolEnded(call.call_id, call.name, call.outcome, round(call.seconds * 1000)))
    failed = call.outcome is not ToolOutcome.FINISHED
    return {"type": "tool_result", "tool_use_id": use.call_id, "content": content, "is_error": failed}


async def _result(means: Means, turn: OpenTurn, use: ToolUse, channel: Channel) -> tuple[str, ToolCall]:
    # No await before this: the record has the calls in the order in which they begin here.
    with turn.tool_call(_span_name(means.tools, use.name), use.call_id) as draft:
        draft.wanted(use.name, use.arguments)
        try:
            content = await _give(means, turn, use, channel, draft)
        except ToolDenied as error:
            draft.denied(classify(error))
            content = error.detail
        except ToolFailed as error:
            draft.failed(classify(error))
            content = error.detail
        draft.told(content)
    return _marked(means, draft.call, content), draft.call


def _marked(means: Means, call: ToolCall, content: str) -> str:
    """What a tool gave, or failed with, is data; why one was not run is our word."""
    ran = call.source is not None and call.outcome is not ToolOutcome.DENIED
    return means.frame.around(call.name, content) if ran else content


async def _give(means: Means, turn: OpenTurn, use: ToolUse, channel: Channel, draft: OpenToolCall) -> str:
    """The tool's text, once all that may stand before it has been passed.

    Raises:
        ToolFailed: it is denied, its arguments do not fit, or it has none to give.
    """
    if turn.tools_begun > means.max_calls:
        raise ToolLimited(TOO_MANY.format(means.max_calls))
    tool = means.tools.find(use.name)
    draft.found(tool.source, tool.effects)
    await means.allowing.tool(use.name, tool.limit)
    errand = Errand(caller=means.caller, turn_id=turn.opening.turn_id, call_id=use.call_id)
    arguments = _arguments(use)
    if tool.approval:
        means.tools.check(use.name, arguments)  # nobody is asked about a call that cannot be run
        await means.approving.ask(Wanted(tool=tool, arguments=arguments, errand=errand), channel, draft)
    return await means.tools.run(use.name, arguments, errand)


def _span_name(tools: Offered, name: str) -> str:
    """A tool's name; `other` for one that the model made up, of which it could make any number."""
    return name if any(each.get("name") == name for each in tools.definitions) else names.OTHER


def _arguments(use: ToolUse) -> Mapping[str, Any]:
    if use.arguments is None:
        raise ToolFailed("The arguments are not a JSON object.")
    return use.arguments
