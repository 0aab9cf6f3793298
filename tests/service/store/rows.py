"""Audit rows for the store's tests, and for the processes they start."""

from collections.abc import Sequence

from msgspec import Struct

CREATED_AT = 1_764_000_000_123_456


class Row(Struct, frozen=True, kw_only=True):
    id: str
    entity_type: str = "AGENT_QUERY"
    entity_id: str = "turn-1"
    action: str = "QUERY"
    actor_id: str | None = "user-1"
    role: str | None = "CFO"
    outcome: str | None = "answered"
    category: str | None = None
    code: str | None = None
    model: str | None = "model-1"
    trace_id: str | None = "0af7651916cd43dd8448eb211c80319c"
    request_id: str | None = "request-1"
    input_tokens: int = 100
    output_tokens: int = 20
    cost_micros: int = 1_250_000
    response_time_ms: int | None = 1500
    count: int = 1
    metadata: str = '{"outcome":"answered"}'
    query: str | None = "How much did we spend?"
    arguments: str | None = None
    lease: str | None = None
    charged_micros: int = 0
    writer: str | None = None
    writer_seq: int | None = None
    writer_low: int | None = None
    created_at: int = CREATED_AT


def batch_of(name: str, size: int) -> Sequence[Row]:
    return [Row(id=f"{name}-{number:04d}") for number in range(size)]
