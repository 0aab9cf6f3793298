"""`python -m tests.stack.real.crowd USERS`: 10,000 turns of so many users, and how many series they made.

Refuses to let a label come from a caller unseen: each user brings a role, a model, a tool, a tenant and a
conversation that nobody else has.
"""

import asyncio
import json
import sys
from collections.abc import Iterator

from msgspec import structs
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from config import Settings
from telemetry.failure import Code, Failure
from telemetry.record import ToolOutcome, TurnOpening, TurnRecord
from telemetry.sinks.metrics import MetricSink
from tests.harness.records import (
    CALLER,
    LIMIT,
    a_model_call,
    a_tool_call,
    an_opening,
    answered,
    failed,
    refused,
)

TURNS = 10_000
CODES = tuple(Code)


def turns(users: int) -> Iterator[TurnRecord]:
    """The turns; what comes of each is the same however many users there are."""
    for number in range(TURNS):
        user = f"user-{number % users}"
        caller = structs.replace(CALLER, user_id=user, role=f"ROLE{number % users}", tenant=f"tenant-{user}")
        opening = an_opening(
            turn_id=f"turn-{number}",
            caller=caller,
            model=f"model-{user}",
            conversation_id=f"conversation-{user}",
            rate_limit=LIMIT,
        )
        yield ended(number, user, opening)


def ended(number: int, user: str, opening: TurnOpening) -> TurnRecord:
    """One of three ends, with every code in its turn."""
    code = CODES[number // 3 % len(CODES)]
    if number % 3 == 0:
        return failed(code, opening=opening)
    if number % 3 == 1:
        return refused(code, opening=opening)
    unknown = Failure(code=Code.NOT_FOUND, error=f"ToolUnknown: {user}")
    return answered(
        opening=opening,
        model_calls=(a_model_call(model=f"model-{user}"),),
        tool_calls=(a_tool_call(name=f"tool-{user}", outcome=ToolOutcome.FAILED, failure=unknown),),
    )


async def told(users: int) -> dict[str, int]:
    """How many series each metric has after all turns."""
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider((reader,), shutdown_on_exit=False))
    sink = MetricSink(Settings())
    await sink.start()
    for record in turns(users):
        sink.opened(record.opening)
        sink.closed(record)
    data = reader.get_metrics_data()
    assert data
    return {
        metric.name: len(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(told(int(sys.argv[1])))))
