"""A turn's audit event -> the steps of its waterfall, by what its row tells: no Jaeger is asked.

Refuses to place what an older row does not say: such a step has no bar.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from service.store.event import Event
from service.web.chat import PATH
from telemetry import names

LEAST = 0.6
"""Percent of the whole that a bar takes at least, so that it is seen."""
FAILED = frozenset({"failed", "denied"})


class Step(Struct, frozen=True, kw_only=True):
    """A step: `after` is when it began and `took` how long it took, milliseconds; None where nobody knows.

    `depth` is how many steps it is within, `first` when its first text came. `left` and `width` are the
    bar's place, `mark` that of the first text, percent of the whole.
    """

    kind: str
    name: str
    depth: int
    after: float | None = None
    took: float | None = None
    note: str = ""
    bad: bool = False
    first: float | None = None
    left: float | None = None
    width: float = 0.0
    mark: float | None = None


class Waterfall(Struct, frozen=True):
    """The steps, each after what it is within; `whole` is milliseconds, `placed` whether all have a bar."""

    steps: Sequence[Step]
    whole: float
    placed: bool


def waterfall(event: Event) -> Waterfall:
    """The steps of a turn, placed."""
    steps = [*_steps(event)]
    whole = max((_end(step) for step in steps), default=0.0)
    return Waterfall(
        tuple(_placed(step, whole) for step in steps),
        whole,
        placed=whole > 0 and all(step.after is not None for step in steps),
    )


def _steps(event: Event) -> Iterator[Step]:
    bad = event.outcome not in {"answered", "client_gone"}
    note = " · ".join(filter(None, (event.outcome, event.code)))
    turn: dict[str, Any] = {"after": 0, "took": event.response_time or None, "bad": bad}
    yield Step(kind="server", name=f"POST {PATH}", depth=0, note=note, **turn)
    yield Step(kind="agent", name=names.TURN_SPAN, depth=1, **turn)
    parts = [*_parts(event.metadata)]
    for part in sorted(parts, key=lambda each: _when(each[0])):
        yield from part


def _parts(told: Mapping[str, Any]) -> Iterator[Sequence[Step]]:
    if count := told.get("tokenCount"):
        yield [_count(count, told)]
    for call in told.get("modelCalls") or ():
        yield [*_model_call(call)]
    for call in told.get("toolCalls") or ():
        yield [*_tool_call(call)]


def _count(count: Mapping[str, Any], told: Mapping[str, Any]) -> Step:
    tokens = "not counted" if count["tokens"] is None else f"{count['tokens']:,} tokens"
    name = names.COUNT_SPAN.format(model=told.get("askedModel", told.get("model")))
    return Step(kind="count", name=name, depth=2, note=count["code"] or tokens, **_times(count))


def _model_call(call: Mapping[str, Any]) -> Iterator[Step]:
    note = call.get("code") or call.get("stopReason") or ""
    name = names.MODEL_SPAN.format(model=call["model"])
    bad, first = call.get("code") is not None, call.get("firstTextMs")
    yield Step(kind="model", name=name, depth=2, note=note, bad=bad, first=first, **_times(call))
    requests: Sequence[Mapping[str, Any]] = call.get("requests") or ()
    if len(requests) > 1 or any(each["code"] for each in requests):
        for number, each in enumerate(requests, 1):
            yield from _attempt(number, each)


def _attempt(number: int, told: Mapping[str, Any]) -> Iterator[Step]:
    status = "no answer" if told["status"] is None else str(told["status"])
    note = " · ".join(filter(None, (status, told["code"])))
    bad, times = told["code"] is not None, _times(told)
    yield Step(kind="attempt", name=f"attempt {number}", depth=3, note=note, bad=bad, **times)
    if told["waitMs"]:
        end = None if times["after"] is None else times["after"] + times["took"]
        yield Step(kind="wait", name="wait", depth=3, after=end, took=told["waitMs"])


def _tool_call(call: Mapping[str, Any]) -> Iterator[Step]:
    name, note = names.TOOL_SPAN.format(tool=call["name"]), call.get("code") or call["outcome"]
    times = _times(call)
    yield Step(kind="tool", name=name, depth=2, note=note, bad=call["outcome"] in FAILED, **times)
    if approval := call.get("approval"):
        took, said = approval["milliseconds"], approval["decision"]
        by = f"{said} by {approval['role']}" if approval["role"] else said
        yield Step(kind="wait", name="approval", depth=3, note=by, after=times["after"], took=took)


def _times(told: Mapping[str, Any]) -> dict[str, Any]:
    return {"after": told.get("startedAfterMs"), "took": told.get("milliseconds")}


def _when(step: Step) -> tuple[float, float]:
    """When it began; of those that began in one millisecond, as they are told, the shortest was first."""
    began = step.after or 0.0
    return began, began + (step.took or 0.0)


def _end(step: Step) -> float:
    return (step.after or 0.0) + (step.took or 0.0)


def _placed(step: Step, whole: float) -> Step:
    if step.after is None or not whole:
        return step
    width = min(100.0, max(LEAST, 100 * (step.took or 0.0) / whole))
    left = min(100.0 - width, max(0.0, 100 * step.after / whole))
    mark = None if step.first is None else min(100.0, 100 * (step.after + step.first) / whole)
    return structs.replace(step, left=round(left, 2), width=round(width, 2), mark=_rounded(mark))


def _rounded(mark: float | None) -> float | None:
    return None if mark is None else round(mark, 2)
