import sqlite3
from contextlib import closing

import msgspec
import pytest
from msgspec import structs

from service.audit.access import Access, Look
from service.audit.access import row_of as row_of_access
from service.audit.interrupted import record_of
from service.audit.row import metadata, row_of
from service.seal.content import mac
from service.store.database import open_database
from telemetry.canonical import commitment
from telemetry.failure import Code, Failure
from telemetry.record import Attempt, Ending, History, Outcome, Reserved, ToolOutcome, Usage
from tests.harness.records import (
    CANARY,
    MOMENT,
    TRACE_ID,
    a_model_call,
    a_tool_call,
    an_opening,
    answered,
    failed,
    refused,
)


def test_the_row_of_an_answer():
    record = answered()
    row, turn_id = row_of(record), record.opening.turn_id
    told = {name: getattr(row, name) for name in row.__struct_fields__ if name != "metadata"}
    assert told == {
        "id": turn_id,
        "entity_type": "AGENT_QUERY",
        "entity_id": turn_id,
        "action": "QUERY",
        "actor_id": "user-1",
        "role": "AUDITEE",
        "outcome": "answered",
        "category": None,
        "code": None,
        "model": "claude-sonnet-5-5",
        "trace_id": TRACE_ID,
        "request_id": turn_id,
        "input_tokens": 200,
        "output_tokens": 40,
        "cost_micros": 1200,
        "response_time_ms": 1234,
        "count": 1,
        "query": CANARY,
        "arguments": None,
        "created_at": 1_764_000_000_123_456,
        "lease": None,
        "charged_micros": 1200,
        "writer": None,
        "writer_seq": None,
        "writer_low": None,
    }


def test_what_the_model_was_told_of_the_conversation():
    told = an_opening(history=History(turns=3, dropped=2, tokens=70))
    assert metadata(answered(opening=told))["history"] == {"turns": 3, "dropped": 2, "tokens": 70}
    assert "history" not in metadata(answered())


def test_what_was_put_aside_and_charged():
    reserved = Reserved(lease="chunk-1", micros=5_000)
    record = answered(opening=an_opening(reserved=reserved))
    row = row_of(record)
    assert (row.lease, row.charged_micros) == ("chunk-1", 1_200)
    assert msgspec.json.decode(row.metadata)["budget"] == {
        "lease": "chunk-1",
        "reservedMicros": 5_000,
        "chargedMicros": 1_200,
    }


def test_a_turn_whose_end_nobody_saw_is_charged_all_that_was_put_aside():
    row = row_of(record_of(an_opening(reserved=Reserved(lease="turn-1", micros=5_000))))
    assert (row.cost_micros, row.charged_micros) == (0, 5_000)


def test_the_metadata_of_an_answer():
    record = answered(opening=an_opening(client_request_id="client-7", streamed=True))
    told = msgspec.json.decode(row_of(record).metadata)
    turn_id = told.pop("requestId")
    assert turn_id == record.opening.turn_id
    assert told == {
        "responseLength": 42,
        "toolsCalled": ["calculate"],
        "usage": {
            "inputTokens": 200,
            "outputTokens": 40,
            "totalTokens": 240,
            "cacheReadTokens": 60,
            "cacheWriteTokens": 20,
        },
        "usageSource": "reported",
        "cost": 0.0012,
        "cacheSavings": 0.00008,
        "pricedAs": ["claude-sonnet-5-5"],
        "budget": None,
        "timestamp": "2025-11-24T16:00:00.123Z",
        "outcome": "answered",
        "category": None,
        "code": None,
        "role": "AUDITEE",
        "credentialId": "key-1",
        "model": "claude-sonnet-5-5",
        "conversationId": "0197b1d5-9c56-7cf0-9d0b-3b1b8a5b2a11",
        "stopReason": "end_turn",
        "streamed": True,
        "traceId": TRACE_ID,
        "clientRequestId": "client-7",
        "responseTime": 1234,
        "modelCalls": [
            {
                "model": "claude-sonnet-5-5",
                "attempts": 1,
                "responseId": "msg-1",
                "stopReason": stopped,
                "code": None,
                "firstTextMs": 200,
                "inputTokens": 100,
                "outputTokens": 20,
                "cacheReadTokens": 30,
                "cacheWriteTokens": 10,
                "costMicros": 600,
                "savedMicros": 40,
                "requests": [
                    {
                        "model": "claude-sonnet-5-5",
                        "status": 200,
                        "requestId": "req-1",
                        "code": None,
                        "waitMs": 0,
                        "startedAfterMs": 0,
                        "milliseconds": 0,
                    }
                ],
                "startedAfterMs": 0,
                "milliseconds": 500,
            }
            for stopped in ("tool_use", "end_turn")
        ],
        "toolCalls": [
            {
                "callId": "toolu-1",
                "name": "calculate",
                "source": None,
                "effects": None,
                "outcome": "finished",
                "code": None,
                "argumentsCommitment": None,
                "resultLength": None,
                "startedAfterMs": 0,
                "milliseconds": 10,
            }
        ],
        "rateLimit": {
            "decision": "allowed",
            "policy": "role",
            "limit": 20,
            "windowMs": 60_000,
            "remaining": 19,
            "retryAfterMs": 0,
            "store": "memory",
            "degraded": False,
            "decidedAt": None,
        },
        "count": 1,
    }


def test_requests_of_a_call_are_told_from_the_turns_beginning_and_a_cache_only_where_there_was_one():
    attempts = (
        Attempt(status=529, seconds=0.1, waited_seconds=0.25),
        Attempt(status=200, after_seconds=0.35, seconds=0.2),
    )
    call = a_model_call(
        started_at=MOMENT + 40_000, attempts=attempts, usage=Usage(input_tokens=7), first_chunk_seconds=None
    )
    (told,) = metadata(answered(model_calls=(call,)))["modelCalls"]
    when = [(each["startedAfterMs"], each["milliseconds"], each["waitMs"]) for each in told["requests"]]
    assert when == [(40, 100, 250), (390, 200, 0)]
    assert (told["inputTokens"], told["outputTokens"], told["firstTextMs"]) == (7, 0, None)
    assert not {"cacheReadTokens", "cacheWriteTokens", "totalTokens"} & set(told)


def test_the_tenant_is_told_where_there_is_one():
    opening = an_opening()
    assert "tenant" not in metadata(answered(opening=opening))
    caller = structs.replace(opening.caller, tenant="acme")
    assert metadata(answered(opening=structs.replace(opening, caller=caller)))["tenant"] == "acme"


def test_metadata_is_canonical():
    text = row_of(answered()).metadata
    told = msgspec.json.decode(text)
    assert list(told) == sorted(told)
    assert list(told["usage"]) == sorted(told["usage"])
    assert ": " not in text.replace(told["timestamp"], "")


@pytest.mark.parametrize(
    ("code", "category"), [(Code.RATE_LIMITED, "rate_limit"), (Code.FORBIDDEN, "authorization")]
)
def test_the_row_of_a_refusal(code, category):
    row = row_of(refused(code))
    assert (row.action, row.outcome, row.category, row.code) == ("REFUSED", "refused", category, code)
    assert (row.input_tokens, row.cost_micros) == (0, 0)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.REFUSED])
def test_any_other_ending_is_a_query(outcome):
    record = failed(outcome=outcome)
    assert (row_of(record).action, row_of(record).outcome) == ("QUERY", outcome.value)


def test_a_client_that_left_has_no_code():
    row = row_of(answered(ending=Ending(Outcome.CLIENT_GONE)))
    assert (row.outcome, row.category, row.code) == ("client_gone", None, None)


def test_a_turn_of_which_nothing_is_known():
    opening = an_opening(caller=None, conversation_id=None, model=None, query=None, rate_limit=None)
    row = row_of(refused(Code.UNAUTHENTICATED, opening=opening))
    told = msgspec.json.decode(row.metadata)
    assert (row.actor_id, row.role, row.model, row.query) == (None, None, None, None)
    assert (told["credentialId"], told["conversationId"], told["rateLimit"]) == (None, None, None)


def test_metadata_tells_no_words_of_the_failure():
    assert "UpstreamFailed" not in row_of(failed()).metadata
    assert "Traceback" not in row_of(failed()).metadata


def test_an_odd_name_costs_no_row():
    tool = a_tool_call(name="\ud800tool", outcome=ToolOutcome.DENIED)
    record = answered(tool_calls=(tool,), opening=an_opening(client_request_id="a\x00\udfffb"))
    told = msgspec.json.decode(row_of(record).metadata)
    assert told["toolCalls"][0]["name"] == "\\ud800tool"
    assert told["clientRequestId"] == "a\x00\\udfffb"
    assert list(told) == sorted(metadata(record))


async def test_the_real_store_has_the_rows_that_were_told(make, tmp_path):
    database = await open_database(f"sqlite:///{tmp_path / 'parley.db'}")
    try:
        sink = make(database.audit)
        await sink.start()
        sink.closed(answered())
        sink.closed(refused())
        sink.closed(answered(opening=an_opening(query="\x00\ud800", client_request_id="\ud800")))
        await sink.stop()
    finally:
        await database.close()
    with closing(sqlite3.connect(tmp_path / "parley.db")) as connection:
        found = connection.execute('SELECT "action", "outcome" FROM "AuditEvent" ORDER BY id').fetchall()
    assert found == [("QUERY", "answered"), ("REFUSED", "refused"), ("QUERY", "answered")]


def test_an_odd_filter_costs_no_row_of_a_look():
    access = Access(
        look=Look.READ,
        route="GET /api/v1/audit/events",
        entity_id="request-1",
        filters={"user": "\ud800ann"},
        caller=None,
        request_id="request-1",
        trace_id=None,
        at=1_764_000_000_123_456,
    )
    assert msgspec.json.decode(row_of_access(access).metadata)["filters"] == {"user": "\\ud800ann"}


def test_what_tools_were_called_with_is_beside_the_metadata_and_committed_to_in_it():
    text, salt = '{"expression":"6*7"}', "ab" * 32
    call = a_tool_call(
        source="built_in",
        effects=False,
        arguments=text,
        arguments_salt=salt,
        arguments_commitment=commitment(salt, text),
        result_length=2,
    )
    failure = Failure(code=Code.FORBIDDEN)
    denied = a_tool_call(call_id="toolu-2", outcome=ToolOutcome.DENIED, failure=failure)
    row = row_of(answered(tool_calls=(call, denied)))
    assert msgspec.json.decode(row.arguments) == [{"callId": "toolu-1", "salt": salt, "arguments": text}]
    first, second = msgspec.json.decode(row.metadata)["toolCalls"]
    assert first["argumentsCommitment"] == mac(bytes.fromhex(salt), text.encode()).hex()
    assert (first["source"], first["effects"], first["resultLength"], first["code"]) == (
        "built_in",
        False,
        2,
        None,
    )
    assert (second["argumentsCommitment"], second["outcome"], second["code"]) == (None, "denied", "forbidden")
    assert salt not in row.metadata
    assert "6*7" not in row.metadata
