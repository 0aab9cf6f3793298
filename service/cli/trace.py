"""parley trace: one query's life from our own record, by the turn's id or the trace's; no Jaeger needed.

Refuses content: what was said is for `parley audit show`, which leaves a row.
"""

from collections.abc import Iterator, Mapping, Sequence
from sys import stderr
from typing import Any

from msgspec import Struct

from service.cli import asking
from service.cli.asking import Desk, plain
from service.store.event import Event
from service.store.filters import Filters
from service.web.masking import masked
from service.web.parameters import Nothing

MOST = 200
"""Turns of one trace that are shown."""


class Told(Struct, frozen=True):
    """What `--json` prints."""

    events: Sequence[Event]


def add(commands: Any) -> None:
    """Add the command's parser."""
    parser = asking.verb(commands, "trace", "tell one query's life", _trace, Nothing)
    parser.add_argument("id", type=asking.text, help="X-Request-Id or X-Trace-Id of the answer")


async def _trace(desk: Desk) -> int:
    events = [masked(event) for event in await _found(desk)]
    if not events:
        stderr.write("parley: there is no turn or trace of that id\n")
        return 1
    asking.show(desk, Told(events), lambda: "\n\n".join("\n".join(lines(event)) for event in events))
    return 0


async def _found(desk: Desk) -> Sequence[Event]:
    if event := await desk.database.questions.event(desk.given.id):
        return [event]
    page = await desk.database.questions.events(Filters(trace_id=desk.given.id), MOST, None)
    return page.events


def lines(event: Event) -> Iterator[str]:
    """The life of a turn, step by step."""
    told = event.metadata
    yield f"{plain(event.action)} {plain(event.entity_id)} at {event.created_at}"
    yield f"  trace    {plain(event.trace_id)}"
    yield f"  caller   {plain(event.actor_id)}, role {plain(event.role)}"
    if limit := told.get("rateLimit"):
        yield f"  limit    {_limit(limit)}"
    yield from (f"  model    {_model_call(call)}" for call in told.get("modelCalls", ()))
    yield from (f"  tool     {_tool_call(call)}" for call in told.get("toolCalls", ()))
    yield f"  tokens   {event.input_tokens} in, {event.output_tokens} out"
    yield f"  cost     ${event.cost:.6f}"
    if event.code:
        yield f"  error    {plain(event.category)}, {plain(event.code)}"
    yield f"  outcome  {plain(event.outcome)} after {plain(event.response_time)} ms"


def _limit(limit: Mapping[str, Any]) -> str:
    return f"{limit['decision']} by {limit['policy']}, {limit['remaining']} of {limit['limit']} left"


def _model_call(call: Mapping[str, Any]) -> str:
    return f"{plain(call['model'])}, attempts {call['attempts']}, response {plain(call['responseId'])}"


def _tool_call(call: Mapping[str, Any]) -> str:
    return f"{plain(call['name'])} {plain(call['outcome'])} in {call['milliseconds']} ms"
