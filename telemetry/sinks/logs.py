"""Record -> log lines: one for each error met, then exactly one that says how the turn ended.

Refuses to thin anything but completed lines.
"""

from collections.abc import Iterator
from logging import ERROR, INFO, WARNING
from typing import Any

from config.settings import Settings
from telemetry import log, names
from telemetry.failure import Category, Code, Failure, Fault
from telemetry.log import Line
from telemetry.record import Outcome, TurnOpening, TurnRecord

QUERY_LENGTH = 100
"""Characters of the query that a line shows."""

LIMITER_CODES = {Code.RATE_LIMITED, Code.TOKENS_LIMITED, Code.CONCURRENCY_LIMITED}
DENIALS = {Category.AUTHENTICATION, Category.AUTHORIZATION}


def lines(record: TurnRecord) -> Iterator[Line]:
    """Everything the log says of a turn, in order."""
    for failure in record.errors:
        yield Line(names.ERROR, ERROR, _of_failure(failure) | {"userId": _user(record)}, _pseudonym(record))
    yield ending(record)


def ending(record: TurnRecord) -> Line:
    """The one line that says how the turn ended."""
    failure = record.failure
    if record.outcome is Outcome.REFUSED and failure:
        return _refusal(record, failure)
    if failure:
        return Line(names.FAILED, ERROR, completed(record) | _of_failure(failure), _pseudonym(record))
    return Line(names.COMPLETED, INFO, completed(record), _pseudonym(record))


def completed(record: TurnRecord) -> dict[str, Any]:
    """The fields of a completed line; the same numbers as `done`, span and row.

    `authStale` only where the caller was let in without a look, the database being away.
    """
    opening, usage = record.opening, record.usage
    return {
        "userId": _user(record),
        "role": opening.caller.role if opening.caller else None,
        "query": opening.query[:QUERY_LENGTH] if opening.query is not None else None,
        "responseTime": record.milliseconds,
        "cost": record.cost_micros / 1_000_000,
        "tokens": {"input": usage.input_tokens, "output": usage.output_tokens, "total": usage.total_tokens},
        "usageSource": record.usage_source.value,
        "toolsCalled": list(record.tools_called),
        "model": record.model,
        "outcome": record.outcome.value,
        **({"authStale": True} if opening.caller and opening.caller.stale else {}),
        **_upstream(record),
    }


def _upstream(record: TurnRecord) -> dict[str, Any]:
    """Each request to the model's API, where one failed; which was asked for, where another answered."""
    asked = record.opening.model
    told = [attempt.told(call.model) for call in record.model_calls for attempt in call.attempts]
    failed = any(attempt.failure for call in record.model_calls for attempt in call.attempts)
    return {
        **({"askedModel": asked} if asked != record.model else {}),
        **({"attempts": told} if failed else {}),
    }


def _refusal(record: TurnRecord, failure: Failure) -> Line:
    words = {"category": failure.category.value, "code": failure.code.value}
    if failure.code in LIMITER_CODES:
        return Line(names.RATE_LIMITED, WARNING, _limited(record, failure) | words, _pseudonym(record))
    if failure.category in DENIALS:
        denied = {"reason": failure.detail, "route": record.opening.route, "userId": _user(record)}
        return Line(names.DENIED, WARNING, denied | words, _pseudonym(record))
    return Line(names.REFUSED, WARNING, completed(record) | words, _pseudonym(record))


def _limited(record: TurnRecord, failure: Failure) -> dict[str, Any]:
    limit, caller = record.opening.rate_limit, record.opening.caller
    return {
        "userId": _user(record),
        "role": caller.role if caller else None,
        "policy": limit.policy if limit else None,
        "limit": limit.limit if limit else None,
        "retryAfter": (failure.retry_after_ms or 0) / 1000,
    }


def _of_failure(failure: Failure) -> dict[str, Any]:
    """`stack` unless it is a caller's error, foreseen: that has its place in no code."""
    return {
        "category": failure.category.value,
        "code": failure.code.value,
        "error": failure.error,
        "stack": failure.stack if failure.unforeseen or failure.fault is not Fault.CALLER else None,
    }


def _user(record: TurnRecord) -> str | None:
    return record.opening.caller.user_id if record.opening.caller else None


def _pseudonym(record: TurnRecord) -> str | None:
    return record.opening.caller.pseudonym if record.opening.caller else None


def kept(trace_id: str, rate: float) -> bool:
    """Whether a trace's completed line is written at this rate; the same answer everywhere for one trace."""
    return int(trace_id[-14:], 16) < rate * (1 << 56)


class LogSink:
    """Writes a turn's lines."""

    def __init__(self, settings: Settings) -> None:
        self._rate, self._query = settings.logs.sample_rate, settings.logs.query

    def opened(self, opening: TurnOpening) -> None:
        """Nothing: the log tells endings."""

    def closed(self, record: TurnRecord) -> None:
        """Write the lines, but completed ones only for their share of traces."""
        for line in lines(record):
            if line.type != names.COMPLETED or kept(record.opening.trace_id, self._rate):
                log.tell(line if self._query else _without_query(line))

    async def start(self) -> None:
        """Nothing: stdout is open."""

    async def stop(self) -> None:
        """Nothing: each line was flushed."""


def _without_query(line: Line) -> Line:
    fields = {key: value for key, value in line.fields.items() if key != "query"}
    return Line(line.type, line.level, fields, line.pseudonym)
