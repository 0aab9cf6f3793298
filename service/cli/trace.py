"""parley trace: one query's life by the turn's id or the trace's: our own record, and the spans Jaeger has.

Refuses content: what was said is for `parley audit show`, which leaves a row. Needs no Jaeger: without one
the record's steps are drawn in the spans' place.
"""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from sys import stderr
from typing import Any

from msgspec import Struct

from config.form import web_address
from service.cli import asking, jaeger
from service.cli.asking import Desk
from service.cli.options import text
from service.cli.terminal import plain
from service.cli.waterfall import Step, draw
from service.store.event import Event
from service.store.filters import Filters
from service.store.questions import TURN
from service.web.masking import masked
from service.web.parameters import Nothing
from telemetry import names
from telemetry.post import addressed

MOST = 200
"""Turns of one trace that are shown."""
TRACE_ID = re.compile("[0-9a-f]{32}")
RECORD, JAEGER = "record", "jaeger"
ROUTE = "POST /api/v1/agent/chat"
"""The name of a turn's outermost span, which is the whole life of one that was refused."""


class Told(Struct, frozen=True):
    """What `--json` prints; `source` says whose the steps are, `link` leads people to the trace."""

    events: Sequence[Event]
    link: str | None
    source: str
    steps: Sequence[Step]


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _trace, Nothing)
    parser.add_argument("id", type=text, help="X-Request-Id or X-Trace-Id of the answer")
    parser.add_argument(
        "--jaeger", type=_address, metavar="URL", help="where to ask for spans (default: AGENT_JAEGER_URL)"
    )


def _address(given: str) -> str:
    try:
        return web_address().read(given)
    except ValueError as error:
        raise argparse.ArgumentTypeError(web_address().expected) from error


async def _trace(desk: Desk) -> int:
    events = [masked(event) for event in await _found(desk)]
    trace_id = next((event.trace_id for event in events if event.trace_id), desk.given.id)
    spans = _spans(desk, trace_id)
    if not events and not spans:
        stderr.write("parley: there is no turn or trace of that id\n")
        return 1
    steps = spans or [step for event in events for step in recorded(event)]
    told = Told(events, _link(desk, trace_id), JAEGER if spans else RECORD, steps)
    asking.show(desk, told, lambda: "\n".join(_words(told)))
    return 0


async def _found(desk: Desk) -> Sequence[Event]:
    if event := await desk.database.questions.event(desk.given.id):
        return [event]
    page = await desk.database.questions.events(Filters(trace_id=desk.given.id), MOST, None)
    return page.events


def _jaeger(desk: Desk) -> str | None:
    return desk.given.jaeger or desk.settings.jaeger_url


def _spans(desk: Desk, trace_id: str) -> Sequence[Step]:
    """Jaeger's; none where it is not to be asked, does not answer or does not have them, which is said."""
    address = _jaeger(desk)
    if not address or not TRACE_ID.fullmatch(trace_id):
        return ()
    try:
        found = jaeger.trace(address, trace_id)
    except jaeger.Unasked as error:
        stderr.write(f"parley: {plain(error.detail)}\n")
        return ()
    if not found:
        stderr.write(
            "parley: Jaeger does not have this trace: it was left out of the sample, or is on its way\n"
        )
    return found


def _link(desk: Desk, trace_id: str) -> str | None:
    """Where people see the trace; None where there is no such place, or no trace."""
    if not TRACE_ID.fullmatch(trace_id):
        return None
    if template := desk.settings.trace_url:
        return template.replace("{traceId}", trace_id)
    address = _jaeger(desk)
    return f"{addressed(address)[0].rstrip('/')}/trace/{trace_id}" if address else None


def _words(told: Told) -> Iterator[str]:
    for event in told.events:
        yield from lines(event)
        yield ""
    if told.link:
        yield f"{told.link}\n"
    if told.steps:
        yield "Spans, from Jaeger:" if told.source == JAEGER else "Steps, from the record:"
        yield from (f"  {line}" for line in draw(told.steps))


def recorded(event: Event) -> Iterator[Step]:
    """The steps that a turn's row tells, under the names of their spans; none of other events."""
    told = event.metadata
    if event.entity_type != TURN:
        return
    yield Step(
        name=names.TURN_SPAN if event.outcome != "refused" else ROUTE,
        started_after_ms=0,
        milliseconds=event.response_time,
        note=", ".join(filter(None, (event.outcome, event.code))),
        steps=tuple(sorted(_steps(told), key=_when)),
    )


def _steps(told: Mapping[str, Any]) -> Iterator[Step]:
    for call in told.get("modelCalls", ()):
        name = names.MODEL_SPAN.format(model=call["model"])
        yield _step(name, call, f"attempts {call['attempts']}" if call["attempts"] != 1 else "")
    for call in told.get("toolCalls", ()):
        yield _step(names.TOOL_SPAN.format(tool=call["name"]), call, call["outcome"])


def _when(step: Step) -> tuple[float, float]:
    """When it began; of those that began in one millisecond, as they are told, the shortest was first."""
    began = step.started_after_ms or 0
    return began, began + (step.milliseconds or 0)


def _step(name: str, call: Mapping[str, Any], note: str) -> Step:
    after, took = call.get("startedAfterMs"), call.get("milliseconds")
    return Step(name=name, started_after_ms=after, milliseconds=took, note=note)


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
