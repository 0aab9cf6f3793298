import csv
import io
import json

import pytest
from msgspec import structs

from service.errors import DatabaseError
from service.store.event import NAMES, Event
from service.web.export import FORMS, csv_lines, json_lines, told
from service.web.masking import masked
from service.web.proofs import SealedEvent, SealMark

EVENT = Event(
    id="event-1",
    entity_type="AGENT_QUERY",
    entity_id="turn-1",
    action="QUERY",
    actor_id="ann",
    metadata={"query": "How much?", "toolsCalled": ["a"]},
    created_at="2025-11-24T16:00:00.123Z",
    role="CFO",
    outcome="answered",
    category=None,
    code=None,
    model="m",
    trace_id=None,
    request_id="turn-1",
    input_tokens=1,
    output_tokens=2,
    total_tokens=3,
    cost=0.000005,
    cost_micros=5,
    response_time=6,
    count=1,
    log_index=7,
)
SEALED = SealedEvent(**structs.asdict(EVENT), seal=SealMark(log_index=7, columns="Y2=", chain="00"))


QUERY = len(NAMES)


def event(**fields):
    values = {name: getattr(EVENT, name) for name in Event.__struct_fields__}
    return Event(**(values | fields))


def cells(text):
    return list(csv.reader(io.StringIO(text, newline="")))


async def pages(*given):
    for page in given:
        if isinstance(page, Exception):
            raise page
        yield page


async def written(form, first, *rest):
    pieces = []
    try:
        async for piece in told(FORMS[form], first, pages(*rest), lambda each: each):
            pieces.append(piece)  # noqa: PERF401 - what was said before a failure counts
    except DatabaseError:
        return "".join(pieces), True
    return "".join(pieces), False


@pytest.mark.parametrize("beginning", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(beginning):
    (row,) = cells(
        csv_lines([event(actor_id=f"{beginning}cmd|' /C calc'!A0", metadata={"query": f"{beginning}1+1"})])
    )
    assert row[NAMES.index("actorId")] == f"'{beginning}cmd|' /C calc'!A0"
    assert row[QUERY] == f"'{beginning}1+1"
    assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.parametrize(
    "text", ['a"b', "a,b", "a\nb", "a\r\nb", "a;b", "ü\U0001f600", "'x", " =1", "", "\\"]
)
def test_a_cell_says_what_was_said(text):
    (row,) = cells(csv_lines([event(metadata={"query": text})]))
    assert row[QUERY] == text
    assert json.loads(row[NAMES.index("metadata")]) == {"query": text}


def test_the_proof_is_the_last_cell_and_a_field_of_a_line():
    (row,), told = cells(csv_lines([SEALED])), json.loads(json_lines([SEALED]))
    assert told["seal"] == {"logIndex": 7, "columns": "Y2=", "chain": "00"}
    assert json.loads(row[-1]) == told.pop("seal")
    assert told == json.loads(json_lines([EVENT]))


def test_every_cell_is_quoted_and_numbers_are_plain():
    line = csv_lines([EVENT])
    assert line.startswith('"event-1","AGENT_QUERY"')
    assert line.endswith('"1","7","How much?",""\r\n')
    (row,) = cells(line)
    assert row[NAMES.index("costMicros")] == "5"
    assert row[NAMES.index("category")] == ""


def test_a_line_of_json_is_one_line():
    lines = json_lines([event(metadata={"query": "a\nb\u2028c"}), EVENT])
    assert lines.count("\n") == 2
    assert [json.loads(line)["metadata"]["query"] for line in lines.split("\n")[:2]] == [
        "a\nb\u2028c",
        "How much?",
    ]


async def test_a_file_has_its_head_and_every_page():
    text, failed = await written("csv", [EVENT], [EVENT, EVENT], [])
    assert (len(cells(text)), failed) == (4, False)
    assert cells(text)[0] == [*NAMES, "query", "seal"]
    text, failed = await written("jsonl", [], [EVENT])
    assert (len(text.splitlines()), failed) == (1, False)


@pytest.mark.parametrize("form", FORMS)
async def test_a_file_that_is_not_whole_says_so_in_its_last_line_and_breaks(form):
    text, failed = await written(form, [EVENT], [EVENT], DatabaseError("secret path /x"), [EVENT])
    last = text.rstrip().splitlines()[-1]
    assert failed
    assert "The export is not complete. A database error occurred." in last
    assert "secret" not in text
    if form == "jsonl":
        assert list(json.loads(last)) == ["error"]
    else:
        assert len(cells(text)[-1]) == 1


async def test_whoever_leaves_closes_the_reading():
    closed = []

    async def endless():
        try:
            while True:
                yield [EVENT]
        finally:
            closed.append(True)

    writing = told(FORMS["jsonl"], [EVENT], endless(), masked)
    async for piece in writing:
        assert "How much" not in piece
        if closed or piece.count("\n") == 1:
            break
    await writing.aclose()
    second = told(FORMS["jsonl"], [], endless(), masked)
    assert await anext(second) == ""
    await anext(second)
    await second.aclose()
    assert closed


def test_masking_takes_the_query_and_nothing_else():
    assert masked(EVENT).metadata == {"query": None, "content": "masked", "toolsCalled": ["a"]}
    assert EVENT.metadata["query"] == "How much?"


@pytest.mark.parametrize("state", ["erased", "sealed"])
def test_masking_keeps_what_became_of_the_content(state):
    found = masked(event(metadata={"query": None, "content": state}))
    assert found.metadata == {"query": None, "content": state}


def test_masking_does_not_tell_whether_there_was_content():
    assert masked(event(metadata={"query": None})).metadata["content"] == "masked"
