"""A row told again as the line that the turn left: what both know is the same."""

import msgspec
from hypothesis import assume, given
from msgspec import structs

from service.audit.row import row_of
from service.store.event import Event
from service.web import retold
from telemetry.failure import Code, Failure
from telemetry.person import SEPARATOR
from telemetry.record import Attempt, Decision, Ending, Outcome, RateLimit, Usage
from telemetry.sinks import logs
from telemetry.timestamp import timestamp
from tests.harness.records import LIMIT, RECORDS, a_model_call, an_opening, answered, failed, refused


def event_of(record, **changed):
    """The event of a turn, as the view shows it to its owner."""
    row = row_of(record)
    told = msgspec.json.decode(row.metadata) | {"query": row.query}
    given = {name: getattr(row, name) for name in Event.__struct_fields__ if hasattr(row, name)}
    made = {
        "metadata": told | changed,
        "created_at": timestamp(row.created_at),
        "total_tokens": row.input_tokens + row.output_tokens,
        "cost": row.cost_micros / 1_000_000,
        "response_time": row.response_time_ms,
        "log_index": 0,
    }
    return Event(**given | made)


def known(line):
    """What a row can know of a line."""
    return line.type, {name: value for name, value in line.fields.items() if name not in retold.UNKNOWN}


def waited_in_whole_milliseconds(record):
    """The record with the limiter's wait as its failure's: that is where a refusal of ours has it from."""
    limit, failure = record.opening.rate_limit, record.ending.failure
    if not failure:
        return record
    wait = limit.retry_after_ms if limit else None
    return structs.replace(
        record, ending=Ending(record.outcome, structs.replace(failure, retry_after_ms=wait))
    )


@given(RECORDS)
def test_the_line_of_a_row_is_the_line_of_its_record(record):
    assume(SEPARATOR not in (record.opening.caller.user_id if record.opening.caller else ""))
    record = waited_in_whole_milliseconds(record)
    kind, fields = known(logs.ending(record))
    told = dict(retold.line_of(event_of(record)))
    frame = {name: told.pop(name) for name in ("level", "type", "traceId", "requestId")}
    assert (frame["type"], frame["traceId"]) == (kind, record.opening.trace_id)
    assert frame["requestId"] == record.opening.turn_id
    assert told == fields


def test_an_older_row_tells_the_same_sums():
    record = answered(model_calls=(a_model_call(), a_model_call(usage=Usage(input_tokens=7))))
    row = event_of(record)
    newer = {"inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens", "costMicros"}
    newer |= {"firstTextMs", "stopReason", "code"}
    older = [
        {name: value for name, value in call.items() if name not in newer}
        for call in row.metadata["modelCalls"]
    ]
    assert retold.line_of(event_of(record, modelCalls=older)) == retold.line_of(row)


def test_a_row_without_a_limit_or_steps_is_read():
    row = event_of(refused(Code.UNAUTHENTICATED, opening=an_opening(caller=None, rate_limit=None)))
    line = retold.line_of(structs.replace(row, metadata={"outcome": "refused"}))
    assert (line["type"], line["userId"], "reason" in line) == ("access_denied", None, False)
    assert retold.rate_limit_of(row) is None


def test_the_limit_is_told_with_its_window():
    limit = RateLimit(
        decision=Decision.DENIED, policy="role", limit=3, window_ms=1_000, remaining=0, retry_after_ms=9
    )
    row = event_of(refused(opening=an_opening(rate_limit=limit)))
    assert retold.rate_limit_of(row) == limit
    assert retold.rate_limit_of(event_of(answered())) == structs.replace(LIMIT, reset_ms=0)


def test_attempts_are_told_where_one_failed():
    busy = Failure(code=Code.UPSTREAM_OVERLOADED)
    attempts = (Attempt(status=529, waited_seconds=0.25, failure=busy), Attempt(status=200))
    line = retold.line_of(event_of(answered(model_calls=(a_model_call(attempts=attempts),))))
    assert [(each["status"], each["code"], each["waitMs"]) for each in line["attempts"]] == [
        (529, "upstream_overloaded", 250),
        (200, None, 0),
    ]


def test_no_words_of_an_error_are_made_up():
    line = retold.line_of(event_of(failed(outcome=Outcome.TIMED_OUT)))
    assert (line["level"], line["type"], line["code"]) == ("ERROR", "agent_query_failed", "upstream_error")
    assert not set(retold.UNKNOWN) & set(line)


def test_whether_the_line_was_left_out_of_the_sample():
    row = event_of(answered())
    assert retold.sampled(row, 1.0)
    assert not retold.sampled(row, 0.0)
