import pytest
from hypothesis import given

from service.audit import entries
from service.audit.row import row_of
from service.errors import JournalError
from tests.harness.records import RECORDS, an_opening


@given(RECORDS)
def test_openings_and_rows_come_back_as_they_were(record):
    begun, row = entries.Begun(7, record.opening), row_of(record)
    assert entries.begun(entries.encode(begun)) == begun
    assert entries.row(entries.encode(row)) == row


def test_half_of_a_surrogate_pair_is_written_out_and_costs_no_row():
    opening = an_opening(query="a \ud800 b")
    found = entries.begun(entries.encode(entries.Begun(1, opening)))
    assert found.opening.query == "a \\ud800 b"
    assert (found.seq, found.opening.caller) == (1, opening.caller)


@pytest.mark.parametrize("content", [b"", b"\xff", b"{}", b"\x93\x01"])
def test_other_bytes_are_refused(content):
    for read in (entries.begun, entries.row):
        with pytest.raises(JournalError):
            read(content)
