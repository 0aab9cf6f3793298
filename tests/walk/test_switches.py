"""Each switch alone, and all of them off: what it takes away, and that it takes away nothing else."""

import pytest
from msgspec import Struct, structs

from tests.conftest import SOON
from tests.harness.chat import ask, stream
from tests.harness.otlp import Receiver
from tests.harness.service import Service

CANARY = "canary-4711"
KINDS = ("agent_query_completed", "rate_limit_exceeded", "agent_query_failed")
STREAMED, JSON = "text/event-stream", "application/json"

LIMIT = {"AGENT_RATE_LIMIT_ROLES": "AUDITEE=3"}
"""Of the four questions that are asked, the last is one too many."""


class Seen(Struct, frozen=True, kw_only=True):
    """What the same four questions left behind: one to stream, one that fails, one more, one too many.

    `lines` counts the endings on stdout by kind; `query` and `exported` say whether lines and OTLP carry
    what was asked; `decisions` are the limiter's words on the spans.
    """

    kind: str = STREAMED
    statuses: tuple[int, ...] = (200, 500, 200, 429)
    limit_headers: bool = True
    decisions: tuple[str | None, ...] = ("allowed", "allowed", "allowed", "denied")
    rows: int = 4
    structured: bool = True
    lines: tuple[int, ...] = (2, 1, 1)
    query: bool = True
    exported: bool = False
    turns: tuple[int, ...] = (2, 1, 1)
    servers: int = 4


ALL_ON = Seen()
FREE = {"statuses": (200, 500, 200, 200), "lines": (3, 0, 1), "turns": (3, 1, 0)}
"""Where nobody is refused."""

SWITCHES = {
    "streaming": ({"AGENT_STREAMING_ENABLED": "false"}, {"kind": JSON}),
    "audit": ({"AGENT_AUDIT_LOGGING_ENABLED": "false"}, {"rows": 0}),
    "structured logs": ({"AGENT_STRUCTURED_LOGGING_ENABLED": "false"}, {"structured": False}),
    "limits off": (
        {"AGENT_RATE_LIMIT_MODE": "off"},
        FREE | {"limit_headers": False, "decisions": (None,) * 4},
    ),
    "limits observe": (
        {"AGENT_RATE_LIMIT_MODE": "observe"},
        FREE | {"decisions": ("allowed", "allowed", "allowed", "observed")},
    ),
    "limits enforce": ({"AGENT_RATE_LIMIT_MODE": "enforce"}, {}),
    "log sampling": ({"AGENT_LOG_SAMPLE_RATE": "0"}, {"lines": (0, 1, 1)}),
    "log query": ({"AGENT_LOG_QUERY": "false"}, {"query": False}),
    "telemetry content": ({"AGENT_TELEMETRY_CONTENT": "true"}, {"exported": True}),
    "sinks": ({"AGENT_SINKS": "metrics"}, {"rows": 0, "lines": (0, 0, 0), "query": False}),
}
"""Setting and what it changes of what is seen with everything on."""

ALL_OFF = {
    "AGENT_STREAMING_ENABLED": "false",
    "AGENT_AUDIT_LOGGING_ENABLED": "false",
    "AGENT_STRUCTURED_LOGGING_ENABLED": "false",
    "AGENT_RATE_LIMIT_MODE": "off",
    "AGENT_LOG_SAMPLE_RATE": "0",
    "AGENT_LOG_QUERY": "false",
    "AGENT_TELEMETRY_CONTENT": "false",
}


def test_with_everything_as_it_comes(tmp_path):
    assert walk(tmp_path, {}) == ALL_ON


@pytest.mark.parametrize(("settings", "changes"), SWITCHES.values(), ids=SWITCHES)
def test_a_switch_alone_changes_what_it_says_and_nothing_else(tmp_path, settings, changes):
    assert walk(tmp_path, settings) == structs.replace(ALL_ON, **changes)


def test_with_all_off_there_are_answers_and_metrics(tmp_path):
    assert walk(tmp_path, ALL_OFF) == structs.replace(
        ALL_ON,
        **FREE | {"lines": (0, 0, 1)},
        kind=JSON,
        limit_headers=False,
        decisions=(None,) * 4,
        rows=0,
        structured=False,
        query=False,
    )


@pytest.mark.parametrize("word", ["false", "off", "no", "0", "FALSE", "Off"])
def test_a_switch_is_off_in_any_of_the_usual_words(start_service, word):
    service = start_service(AGENT_STREAMING_ENABLED=word)
    with stream(service, "Hello") as answer:
        assert answer.response.headers["content-type"] == JSON


@pytest.mark.parametrize("rate", ["0.5"])
def test_a_rate_between_thins_whole_traces_by_their_id(start_service, rate):
    service = start_service(AGENT_LOG_SAMPLE_RATE=rate, AGENT_RATE_LIMIT_MODE="off")
    traces = {ask(service, "Hello").json()["traceId"] for _ in range(40)}
    assert service.stop() == 0
    kept = {line["traceId"] for line in service.lines(type="agent_query_completed")}
    assert kept == {each for each in traces if int(each[-14:], 16) < float(rate) * (1 << 56)}
    assert 0 < len(kept) < 40


def walk(folder, settings) -> Seen:
    """Ask four questions, end the service, and look at everything it left."""
    with Receiver() as receiver, Service(folder, receiver.settings() | SOON | LIMIT | settings) as service:
        with stream(service, CANARY) as first:
            first.rest() if first.response.headers["content-type"] == STREAMED else first.problem()
            kind = first.response.headers["content-type"]
        rest = [ask(service, f"{marker} {CANARY}") for marker in ("[sim:400]", "Hello", "Hello")]
        assert service.stop() == 0
        answers = [first.response, *rest]
        return Seen(
            kind=kind,
            statuses=tuple(each.status_code for each in answers),
            limit_headers=all("ratelimit" in each.headers for each in answers),
            decisions=tuple(_decision(receiver, each.headers["x-trace-id"]) for each in answers),
            rows=len(service.rows()),
            structured=all(line.startswith("{") for line in service.stdout),
            lines=tuple(sum(name in line for line in service.stdout) for name in KINDS),
            query=any(CANARY in line for line in service.stdout if "agent_query" in line),
            exported=any(CANARY in repr(each) for each in (*receiver.spans(), *receiver.logs())),
            turns=tuple(_turns(receiver, outcome) for outcome in ("answered", "failed", "refused")),
            servers=sum(span.kind == "SERVER" for span in receiver.spans()),
        )


def _decision(receiver, trace_id):
    (turn,) = (span for span in receiver.spans(trace_id) if span.name == "invoke_agent parley")
    return turn.attributes.get("parley.rate_limit.decision")


def _turns(receiver, outcome):
    return sum(int(point.value) for point in receiver.points("parley.turns", {"outcome": outcome}))


REFUSED_SHARE = """\
SELECT substr("createdAt", 1, 10) AS day, sum("count") AS turns,
       sum(CASE WHEN "code" = 'rate_limited' THEN "count" ELSE 0 END) AS refused
FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY' GROUP BY 1 ORDER BY 1 DESC;"""
WOULD_BE_REFUSED = """\
SELECT "role", "actorId", sum("count") AS turns
FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY'
  AND "metadata" -> 'rateLimit' ->> 'decision' = 'observed'
GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20;"""
GROWTH = """\
SELECT substr("createdAt", 1, 10) AS day, count(*) AS rows,
       sum(length(CAST("metadata" AS TEXT))) AS bytes
FROM "AuditEvent" GROUP BY 1 ORDER BY 1 DESC;"""
CATEGORIES = """\
SELECT "category", "code", sum("count") AS turns
FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY' AND "category" IS NOT NULL
GROUP BY 1, 2 ORDER BY 3 DESC;"""
"""The questions of README's "Rolling out"."""


def test_what_to_watch_while_rolling_out_can_be_asked_of_either_database(start_service, database_url):
    service = start_service(
        DATABASE_URL=database_url, AGENT_RATE_LIMIT_MODE="observe", AGENT_RATE_LIMIT_ROLES="AUDITEE=2"
    )
    for message in ("Hello", "", "[sim:400]", "Hello"):
        ask(service, message)
    service.wait_for_rows(4)
    (would,) = service.sql(WOULD_BE_REFUSED)
    assert (would["role"], would["actorId"], int(would["turns"])) == ("AUDITEE", "dev", 1)
    assert {(each["category"], each["code"]): int(each["turns"]) for each in service.sql(CATEGORIES)} == {
        ("validation", "invalid_request"): 1,
        ("agent_service", "upstream_error"): 1,
    }
    (day,) = service.sql(REFUSED_SHARE)
    assert (int(day["turns"]), int(day["refused"])) == (4, 0)
    (grown,) = service.sql(GROWTH)
    assert int(grown["rows"]) == 4
    assert int(grown["bytes"]) > 1000
