"""Record -> audit row: a pure projection.

Refuses the query a place in `metadata`; the row carries it beside.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, structs

from service.audit.steps import steps
from telemetry.canonical import canonical
from telemetry.record import TurnRecord
from telemetry.timestamp import timestamp

ENTITY = "AGENT_QUERY"
ANSWERED, REFUSED = "QUERY", "REFUSED"


class AuditRow(Struct, frozen=True, kw_only=True, tag="row", gc=False):
    """One row. `created_at` is microseconds since 1970 (UTC), `metadata` canonical JSON.

    `writer`, `writer_seq` and `writer_low` say where it was journaled: by whom, as which number from 1, and
    the least number that was not closed then; None where it was not. `arguments` is a JSON list of what its
    tools were called with, each with the salt of its commitment; None for none. `lease` names what was put
    aside for it, `charged_micros` is what budgets are charged.
    """

    id: str
    entity_type: str
    entity_id: str
    action: str
    actor_id: str | None = None
    role: str | None = None
    outcome: str | None = None
    category: str | None = None
    code: str | None = None
    model: str | None = None
    trace_id: str | None = None
    request_id: str
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0
    response_time_ms: int | None = None
    count: int = 1
    metadata: str
    query: str | None = None
    arguments: str | None = None
    created_at: int
    lease: str | None = None
    charged_micros: int = 0
    writer: str | None = None
    writer_seq: int | None = None
    writer_low: int | None = None


def row_of(record: TurnRecord) -> AuditRow:
    """The row of a turn; its id is the turn's, so that writing it twice is writing it once."""
    opening, failure, usage = record.opening, record.failure, record.usage
    return AuditRow(
        id=opening.turn_id,
        entity_type=ENTITY,
        entity_id=opening.turn_id,
        action=REFUSED if record.outcome == "refused" else ANSWERED,
        actor_id=opening.caller.person if opening.caller else None,
        role=opening.caller.role if opening.caller else None,
        outcome=record.outcome.value,
        category=failure.category.value if failure else None,
        code=failure.code.value if failure else None,
        model=record.model,
        trace_id=opening.trace_id,
        request_id=opening.turn_id,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_micros=record.cost_micros,
        response_time_ms=record.milliseconds,
        count=1,
        metadata=canonical(metadata(record)),
        query=opening.query,
        arguments=_arguments(record),
        created_at=opening.opened_at,
        lease=opening.reserved.lease if opening.reserved else None,
        charged_micros=record.charged_micros,
    )


def counted(row: AuditRow, count: int) -> AuditRow:
    """The same row, standing for so many like events."""
    fields = msgspec.json.decode(row.metadata, type=dict[str, Any]) | {"count": count}
    return structs.replace(row, count=count, metadata=canonical(fields))


def metadata(record: TurnRecord) -> dict[str, Any]:
    """What a reader asks a row for, under the contract's names (section 6)."""
    return {**_asked(record), **_ended(record), **_spent(record), **steps(record), "count": 1}


def _asked(record: TurnRecord) -> dict[str, Any]:
    opening, caller = record.opening, record.opening.caller
    return {
        "timestamp": timestamp(opening.opened_at),
        "requestId": opening.turn_id,
        "clientRequestId": opening.client_request_id,
        "traceId": opening.trace_id,
        "role": caller.role if caller else None,
        "credentialId": caller.credential_id if caller else None,
        **({"tenant": caller.tenant} if caller and caller.tenant else {}),
        **({"authStale": True} if caller and caller.stale else {}),
        "conversationId": opening.conversation_id,
        **({"history": opening.history.told()} if opening.history else {}),
        "model": record.model,
        **({"askedModel": opening.model} if opening.model != record.model else {}),
        "streamed": opening.streamed,
        **({"attachments": [each.told() for each in opening.attachments]} if opening.attachments else {}),
    }


def _ended(record: TurnRecord) -> dict[str, Any]:
    failure = record.failure
    return {
        "outcome": record.outcome.value,
        "category": failure.category.value if failure else None,
        "code": failure.code.value if failure else None,
        "stopReason": record.stop_reason,
        "responseLength": record.response_length,
        "responseTime": record.milliseconds,
    }


def _spent(record: TurnRecord) -> dict[str, Any]:
    return {
        "usage": record.usage.told(),
        "usageSource": record.usage_source.value,
        "cost": record.cost_micros / 1_000_000,
        "cacheSavings": record.saved_micros / 1_000_000,
        "pricedAs": sorted({call.priced_as for call in record.model_calls if call.priced_as}),
        "budget": _budget(record),
    }


def _budget(record: TurnRecord) -> Mapping[str, Any] | None:
    """What was put aside and what was charged; null where nothing was put aside."""
    reserved = record.opening.reserved
    if not reserved:
        return None
    return {
        "lease": reserved.lease,
        "reservedMicros": reserved.micros,
        "chargedMicros": record.charged_micros,
    }


def _arguments(record: TurnRecord) -> str | None:
    """What its tools were called with, in order, apart from what anybody may see."""
    said = [
        {"callId": call.call_id, "salt": call.arguments_salt, "arguments": call.arguments}
        for call in record.tool_calls
        if call.arguments is not None
    ]
    return canonical(said) if said else None
