"""A query's life as its page lays it out: words and figures out of what is kept, section by section.

Refuses to ask anything: all of it is what `Queries` told.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from service.errors import text_of, window_in_words
from service.store.event import Event
from service.web import retold
from service.web.console.waterfall import Waterfall, waterfall
from service.web.problems import STATUS
from service.web.queries import Query
from telemetry.failure import Code, Failure
from telemetry.spike import SPIKES

STATES: Mapping[str, str] = {
    "masked": "Masked: you may see what happened, and not what was said.",
    "erased": "Erased at its owner's wish.",
    "sealed": "Sealed: it is kept encrypted.",
    "unreadable": "It cannot be read any more: its key is gone.",
}
NOT_READ = "No question was read: the request was turned away before."
INTERRUPTED, DEGRADED, INVALID = "TurnsInterrupted", "LimitsDegraded", "AuditInvalid"
"""Sections of the runbook."""


class Told(dict[str, Any]):
    """What a row tells; what an older one does not is None."""

    def __missing__(self, key: str) -> None:
        return None


class Trouble(Struct, frozen=True, kw_only=True):
    """Why a query did not end well; `words` are what its caller was told, `runbook` a section's name."""

    category: str
    code: str
    fault: str
    status: int
    retryable: bool
    words: str
    runbook: str


class Life(Struct, frozen=True, kw_only=True):
    """What the page shows besides the event itself; `state` says why there is no question.

    `calls` and `tools` are the steps' rows, `saved` is what caches spared (micro-dollars). `line` is JSON for
    people, `unknown` what it lacks of the line that was written.
    """

    told: Told
    usage: Told
    waterfall: Waterfall
    question: str | None
    state: str
    trouble: Trouble | None
    calls: Sequence[Told]
    tools: Sequence[Told]
    saved: int
    limit: Mapping[str, Any] | None
    budget: Mapping[str, Any] | None
    line: str
    unknown: Sequence[str]
    told_by_call: bool


def life_of(query: Query) -> Life:
    """Lay a query out."""
    event, told = query.event, Told(query.event.metadata)
    calls = [Told(each) for each in told["modelCalls"] or ()]
    return Life(
        told=told,
        usage=Told(told["usage"] or {}),
        waterfall=waterfall(event),
        question=told["query"],
        state=STATES.get(told["content"] or "", NOT_READ),
        trouble=_trouble(event),
        calls=calls,
        saved=sum(each["savedMicros"] or 0 for each in calls),
        tools=[_tool(each) for each in told["toolCalls"] or ()],
        limit=_limit(event),
        budget=told["budget"],
        line=msgspec.json.format(msgspec.json.encode(query.line), indent=2).decode(),
        unknown=_unknown(query),
        told_by_call=all("inputTokens" in each for each in calls),
    )


def _trouble(event: Event) -> Trouble | None:
    if event.code is None:
        return None
    failure = Failure(code=Code(event.code))
    return Trouble(
        category=failure.category.value,
        code=failure.code.value,
        fault=failure.fault.value,
        status=STATUS[failure.code],
        retryable=failure.retryable,
        words=text_of(failure, _windowed(event)),
        runbook=INTERRUPTED if event.outcome == "interrupted" else _section(failure),
    )


def _windowed(event: Event) -> Any:
    """The decision, where its window is known: the words name it."""
    limit = retold.rate_limit_of(event)
    return limit if limit and limit.window_ms else None


def _section(failure: Failure) -> str:
    alike = [each for each in SPIKES if each.category is failure.category]
    return next((each.name for each in alike if failure.fault in each.faults), alike[0].name)


def _tool(call: Mapping[str, Any]) -> Told:
    """A call with its arguments as JSON for people; None where the caller may not see them."""
    given = call.get("arguments")
    shown = None if given is None else msgspec.json.format(msgspec.json.encode(given), indent=2).decode()
    return Told({**call, "shown": shown})


def _limit(event: Event) -> Mapping[str, Any] | None:
    limit = retold.rate_limit_of(event)
    if limit is None:
        return None
    window = window_in_words(limit.window_ms) if limit.window_ms else ""
    return {
        "decision": limit.decision.value,
        "policy": limit.policy,
        "remaining": limit.remaining,
        "limit": limit.limit,
        "window": window,
        "wait": limit.retry_after_ms,
        "store": limit.store,
        "degraded": limit.degraded,
        "money": limit.policy.startswith("budget_"),
    }


def _unknown(query: Query) -> Sequence[str]:
    """What the line had that no row has: words of an error only where there was one."""
    denied, failed = query.line["type"] == "access_denied", query.line["type"] == "agent_query_failed"
    wanted = {"error": failed, "stack": failed, "reason": denied}
    return [name for name in retold.UNKNOWN if wanted.get(name, True)]
