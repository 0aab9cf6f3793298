import pytest
from hypothesis import given
from msgspec import structs

from service.audit import entries
from service.audit.row import row_of
from service.errors import JournalError
from tests.harness.records import RECORDS, a_tool_call, an_opening, failed


@given(RECORDS)
def test_openings_and_rows_come_back_as_they_were(record):
    begun, row = entries.Begun(7, record.opening), row_of(record)
    assert entries.begun(entries.encode(begun)) == begun
    assert entries.row(entries.encode(row)) == row
    made = entries.row(entries.encode(entries.Closed("w", 7, 8, record)))
    assert made == structs.replace(row, writer="w", writer_seq=7, writer_low=8)


def test_half_of_a_surrogate_pair_is_written_out_and_costs_no_row():
    opening = an_opening(query="a \ud800 b")
    found = entries.begun(entries.encode(entries.Begun(1, opening)))
    assert found.opening.query == "a \\ud800 b"
    assert (found.seq, found.opening.caller) == (1, opening.caller)
    record = failed(opening=opening, tool_calls=(a_tool_call(name="\udc80"),))
    row = entries.row(entries.encode(entries.Closed("w", 1, 2, record)))
    assert (row.query, row.code, row.writer_seq) == ("a \\ud800 b", "upstream_error", 1)
    assert "\\\\udc80" in row.metadata
    assert entries.row(entries.encode(row_of(record))).query == "a \\ud800 b"


@pytest.mark.parametrize("content", [b"", b"\xff", b"{}", b"\x93\x01"])
def test_other_bytes_are_refused(content):
    for read in (entries.begun, entries.row):
        with pytest.raises(JournalError):
            read(content)
