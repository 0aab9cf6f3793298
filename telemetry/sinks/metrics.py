"""Record -> measurements. Labels are few and closed: a caller cannot make a series.

Every label value that is known exists at 0 from the start, so that a rate sees the first error.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from types import MappingProxyType
from typing import Any

from msgspec import Struct, structs
from opentelemetry import metrics

from config.settings import Limits, Settings
from telemetry import names
from telemetry.counts import Count
from telemetry.failure import RULES, Code
from telemetry.measuring import NOBODY
from telemetry.record import (
    ApprovalDecision,
    Decision,
    ModelCall,
    Outcome,
    ToolCall,
    ToolOutcome,
    TurnOpening,
    TurnRecord,
)

REFUSING = (Decision.DENIED, Decision.OBSERVED)
"""What is said of a policy that stands in the way; what is allowed is told of the role's."""

Write = Callable[[float, Mapping[str, Any]], None]


class Point(Struct, frozen=True):
    """One measurement: an instrument's name, a value in its unit, and labels."""

    name: str
    value: float
    labels: Mapping[str, Any]


class Labels:
    """The roles and models that may be labels, any other is `other`; policies besides the role's."""

    def __init__(
        self,
        roles: frozenset[str],
        models: frozenset[str],
        policies: tuple[str, ...] = (),
        tools: tuple[str, ...] = (),
    ) -> None:
        self.roles, self.models, self.policies, self.tools = roles, models, policies, tools

    def role(self, name: str | None) -> str:
        """A role of the table, or `other`."""
        return name if name in self.roles else names.OTHER

    def model(self, name: str | None) -> str:
        """A model of AGENT_MODELS, or `other`."""
        return name if name in self.models else names.OTHER


def points(record: TurnRecord, labels: Labels) -> Iterator[Point]:
    """Everything the metrics say of a turn."""
    yield Point(names.TURNS, 1, {"outcome": record.outcome.value})
    if failure := record.failure:
        words = {"category": failure.category.value, "fault": failure.fault.value}
        yield Point(names.ERRORS, 1, words)
    yield from _of_limit(record, labels)
    for call in record.model_calls:
        yield from _of_model_call(call, record, labels)
    for call in record.tool_calls:
        yield Point(names.TOOL_DURATION, call.own_seconds, _tool_labels(call))
        yield Point(names.TOOL_CALLS, 1, {"tool": _tool_name(call), "outcome": call.outcome.value})
        if call.approval:
            yield Point(names.APPROVALS, 1, {"decision": call.approval.decision.value})
    if record.model_calls:
        yield Point(names.TURN_DURATION, record.seconds, _turn_labels(record, labels))


def zeros(labels: Labels) -> Iterator[Point]:
    """Every counter's known series, at 0."""
    roles, models = sorted(labels.roles | {names.OTHER}), sorted(labels.models)
    yield from (Point(names.TURNS, 0, {"outcome": outcome.value}) for outcome in Outcome)
    for category, fault in sorted({(rule.category.value, rule.fault.value) for rule in RULES.values()}):
        yield Point(names.ERRORS, 0, {"category": category, "fault": fault})
    yield from (Point(names.APPROVALS, 0, {"decision": each.value}) for each in ApprovalDecision)
    for decision, policy in (*product(Decision, ("role",)), *product(REFUSING, labels.policies)):
        for role in roles:
            told = {"decision": decision.value, "policy": policy, "role": role}
            yield Point(names.RATE_LIMIT_DECISIONS, 0, told)
    for model, direction in product(models, ("input", "output")):
        yield Point(names.TOKENS, 0, {"direction": direction, "model": model})
    yield from (Point(names.TOOL_CALLS, 0, told) for told in _known_calls(labels))
    yield from (Point(names.MODEL_RETRIES, 0, {"model": model}) for model in models)
    yield from (Point(names.COST_UNCACHED, 0, {"model": model}) for model in models)
    for model, role in product(models, roles):
        yield Point(names.COST_TOTAL, 0, {"model": model, "role": role})


def _known_calls(labels: Labels) -> Iterator[Mapping[str, Any]]:
    for tool, outcome in product((*labels.tools, names.OTHER), ToolOutcome):
        yield {"tool": tool, "outcome": outcome.value}


def policies(limits: Limits) -> tuple[str, ...]:
    """The policies besides the role's that these settings make."""
    wanted = {
        "address": limits.address,
        "tenant": limits.tenant,
        "model": limits.models,
        "tokens": limits.tokens_per_minute,
        "concurrency": limits.concurrency,
    }
    budgets = structs.asdict(limits.budgets)
    return tuple(
        [name for name, wish in wanted.items() if wish]
        + [f"budget_{name}" for name, wish in budgets.items() if wish]
    )


def _of_limit(record: TurnRecord, labels: Labels) -> Iterator[Point]:
    limit, caller = record.opening.rate_limit, record.opening.caller
    if limit:
        role = labels.role(caller.role if caller else None)
        told = {"decision": limit.decision.value, "policy": limit.policy, "role": role}
        yield Point(names.RATE_LIMIT_DECISIONS, 1, told)


def _of_model_call(call: ModelCall, record: TurnRecord, labels: Labels) -> Iterator[Point]:
    model, caller = labels.model(call.model), record.opening.caller
    told = _model_labels(call, model)
    yield Point(names.MODEL_DURATION, call.seconds, told)
    if call.first_chunk_seconds is not None:
        yield Point(names.MODEL_FIRST_CHUNK, call.first_chunk_seconds, told)
    if (again := len(call.attempts) - 1) > 0:
        yield Point(names.MODEL_RETRIES, again, {"model": model})
    for direction, tokens in (("input", call.usage.input_tokens), ("output", call.usage.output_tokens)):
        yield Point(names.TOKENS, tokens, {"direction": direction, "model": model})
        if tokens:
            yield Point(names.MODEL_TOKENS, tokens, told | {names.TOKEN_TYPE: direction})
    role = labels.role(caller.role if caller else None)
    yield Point(names.COST_TOTAL, call.cost_micros / 1_000_000, {"model": model, "role": role})
    uncached = call.cost_micros + call.saved_micros
    yield Point(names.COST_UNCACHED, uncached / 1_000_000, {"model": model})


def _model_labels(call: ModelCall, model: str) -> dict[str, Any]:
    known = {names.OPERATION: "chat", names.PROVIDER_NAME: call.provider, names.REQUEST_MODEL: model}
    return known | ({names.ERROR_TYPE: call.failure.code.value} if call.failure else {})


def _tool_labels(call: ToolCall) -> dict[str, Any]:
    failure = call.failure
    known = {names.OPERATION: "execute_tool", names.TOOL_NAME: _tool_name(call)}
    return known | ({names.ERROR_TYPE: failure.code.value} if failure else {})


def _tool_name(call: ToolCall) -> str:
    """A tool that the model made up is `other`."""
    made_up = call.failure and call.failure.code is Code.NOT_FOUND and call.source is None
    return names.OTHER if made_up else call.name


def _turn_labels(record: TurnRecord, labels: Labels) -> dict[str, Any]:
    known = {
        names.OPERATION: "invoke_agent",
        names.AGENT_NAME: names.AGENT,
        names.REQUEST_MODEL: labels.model(record.opening.model),
    }
    return known | ({names.ERROR_TYPE: record.failure.code.value} if record.failure else {})


COUNTS: Mapping[str, Count] = MappingProxyType(
    {
        name: Count(name, unit, said)
        for name, unit, said in (
            (names.TURNS, "{turn}", "Turns by outcome"),
            (names.RATE_LIMIT_DECISIONS, "{decision}", "Decisions of the limiter"),
            (names.TOKENS, "{token}", "Tokens by direction and model; input includes cached ones"),
            (names.TOOL_CALLS, "{call}", "Calls of tools by what became of them"),
            (names.APPROVALS, "{call}", "Tool calls that needed somebody's yes, by what became of it"),
            (names.MODEL_RETRIES, "{retry}", "Requests to the model's API after the first of a call"),
            (names.COST_TOTAL, "{USD}", "Cost of model calls in US dollars"),
            (
                names.COST_UNCACHED,
                "{USD}",
                "What the same calls would have cost without the provider's cache",
            ),
        )
    }
)
"""What is counted of a turn; errors are an instrument of their own, with exemplars."""
ACTIVE = Count(names.TURNS_ACTIVE, "{turn}", "Turns that were admitted and have not ended", falls=True)


class MetricSink:
    """Records a turn's points."""

    def __init__(self, settings: Settings) -> None:
        self.labels = Labels(
            frozenset(settings.limits.roles),
            frozenset(settings.model.names),
            policies(settings.limits),
            settings.tools.names,
        )
        self._write = instruments(metrics.get_meter(names.SCOPE))
        self._open: set[str] = set()

    def opened(self, opening: TurnOpening) -> None:
        """One more is active."""
        if NOBODY.is_set():
            return
        self._open.add(opening.turn_id)
        ACTIVE.add(1)

    def closed(self, record: TurnRecord) -> None:
        """Record the turn's points, under its span, so that exemplars lead to the trace."""
        if NOBODY.is_set():
            return
        if record.opening.turn_id in self._open:
            self._open.remove(record.opening.turn_id)
            ACTIVE.add(-1)
        for point in points(record, self.labels):
            self._write[point.name](point.value, point.labels)

    async def start(self) -> None:
        """Create the known series."""
        ACTIVE.add(0)
        for point in zeros(self.labels):
            self._write[point.name](point.value, point.labels)

    async def stop(self) -> None:
        """Nothing: the SDK sends what it has."""


def instruments(meter: metrics.Meter) -> dict[str, Write]:
    """Every instrument of a turn by name, as the one call that writes to it."""
    histograms = (
        (names.MODEL_DURATION, "s", "One question to the model over all its attempts", names.SECONDS_BUCKETS),
        (names.MODEL_FIRST_CHUNK, "s", "Until the model's first content", names.SECONDS_BUCKETS),
        (names.MODEL_TOKENS, "{token}", "Tokens of one model call", names.TOKEN_BUCKETS),
        (names.TURN_DURATION, "s", "A turn that reached the model, whole", names.TURN_BUCKETS),
        (names.TOOL_DURATION, "s", "One tool call", names.SECONDS_BUCKETS),
    )
    failed = "Turns that ended with an error, by category and fault"
    writes: dict[str, Write] = {name: count.add for name, count in COUNTS.items()}
    writes[names.ERRORS] = meter.create_counter(names.ERRORS, unit="{error}", description=failed).add
    for name, unit, said, bounds in histograms:
        writes[name] = meter.create_histogram(
            name, unit=unit, description=said, explicit_bucket_boundaries_advisory=bounds
        ).record
    return writes
