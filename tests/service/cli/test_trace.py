import pytest

from service.cli.trace import lines
from service.store.event import Event

TOLD = {
    "rateLimit": {"decision": "allowed", "policy": "role", "remaining": 19, "limit": 20},
    "modelCalls": [{"model": "m", "attempts": 2, "responseId": "msg_1"}],
    "toolCalls": [{"name": "calculate\x1b", "outcome": "finished", "milliseconds": 3}],
}
EVENT = Event(
    id="1", entity_type="AGENT_QUERY", entity_id="1", action="QUERY", actor_id="ann", metadata=TOLD,
    created_at="2026-11-23T00:00:00.000Z", role="CFO", outcome="failed", category="network",
    code="upstream_unreachable", model="m", trace_id="ab", request_id="1", input_tokens=5, output_tokens=7,
    total_tokens=12, cost=0.000123, cost_micros=123, response_time=42, count=1, log_index=0,
)  # fmt: skip


def test_a_turn_is_told_step_by_step_and_moves_no_cursor():
    assert list(lines(EVENT)) == [
        "QUERY 1 at 2026-11-23T00:00:00.000Z",
        "  trace    ab",
        "  caller   ann, role CFO",
        "  limit    allowed by role, 19 of 20 left",
        "  model    m, attempts 2, response msg_1",
        "  tool     calculate\\u001b finished in 3 ms",
        "  tokens   5 in, 7 out",
        "  cost     $0.000123",
        "  error    network, upstream_unreachable",
        "  outcome  failed after 42 ms",
    ]


@pytest.mark.parametrize(
    "command", [("audit", "list"), ("keys", "list"), ("usage",), ("limits", "show"), ("trace", "x")]
)
def test_nothing_to_work_on_is_said_and_makes_no_database(parley, tmp_path, command):
    said = parley(*command)
    assert (said.status, said.out) == (2, "")
    assert "There is no database at" in said.err
    assert not (tmp_path / "var").exists()
