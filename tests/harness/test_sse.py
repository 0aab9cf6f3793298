"""The SSE parser against the standard's own examples, and against bytes cut anywhere."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.sse import Event, Parser


def parse(*pieces):
    parser = Parser()
    return [event for piece in pieces for event in parser.feed(piece)]


def texts(source):
    return [event.text for event in parse(source)]


def test_an_event_has_id_name_and_json_data():
    (event,) = parse(b'id: 1\nevent: turn\ndata: {"id": "x"}\n\n')
    assert event == Event(id="1", event="turn", text='{"id": "x"}')
    assert event.data == {"id": "x"}


def test_data_that_is_no_json_is_an_error_only_when_asked_for():
    (event,) = parse(b"data: {half\n\n")
    assert event.text == "{half"
    with pytest.raises(ValueError, match="Expecting property name"):
        _ = event.data


def test_data_lines_join_with_newlines():
    assert texts(b"data: YHOO\ndata: +2\ndata: 10\n\n") == ["YHOO\n+2\n10"]


def test_the_standards_second_example():
    events = parse(
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"
    )
    assert [(event.id, event.text) for event in events] == [
        ("1", "first event"),
        ("", "second event"),
        ("", " third event"),
    ]
    assert [event.comments for event in events] == [("test stream",), (), ()]


def test_the_standards_third_example():
    assert texts(b"data\n\ndata\ndata\n\ndata:") == ["", "\n"]


def test_an_event_without_data_is_none_and_its_name_is_forgotten():
    assert [(event.event, event.text) for event in parse(b"event: lost\n\ndata: x\n\n")] == [("message", "x")]


def test_an_event_that_was_cut_off_is_not_told():
    assert parse(b"data: whole\n\ndata: cut\n") == [Event(id="", event="message", text="whole")]


def test_an_id_stays_until_another_comes_and_one_with_a_null_is_none():
    assert [event.id for event in parse(b"id: 5\ndata: a\n\ndata: b\n\nid: 6\0\ndata: c\n\n")] == ["5"] * 3


def test_only_digits_set_the_retry():
    parser = Parser()
    parser.feed("retry: 10\nretry: 1x\nretry: ٣\nretry:\n".encode())
    assert parser.retry == 10


def test_unknown_fields_and_a_byte_order_mark_are_passed_over():
    assert texts(b"\xef\xbb\xbfdata: x\nfoo: bar\nDATA: y\n\n") == ["x"]


def test_a_comment_alone_is_heard_without_an_event():
    parser = Parser()
    assert parser.feed(b":\n\n: ping\n\n") == []
    assert parser.comments == ["", "ping"]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end_of_the_standard_ends_a_line_at_once(end):
    assert texts(b"data: a" + end + b"data: b" + end + end) == ["a\nb"]


def test_other_separators_of_unicode_end_no_line():
    assert texts("data: a\u2028b\x0bc\x85d\n\n".encode()) == ["a\u2028b\x0bc\x85d"]


SOURCE = ': hi\r\n\r\nid: 1\r\ndata: "ä€😀"\r\n\r\nid: 2\rdata: w\r\ndata: x\r\rdata: y\ndata: z\n\n'.encode()


@given(st.lists(st.integers(0, len(SOURCE)), max_size=8).map(sorted))
def test_where_the_bytes_are_cut_does_not_matter(cuts):
    edges = [0, *cuts, len(SOURCE)]
    pieces = [SOURCE[start:end] for start, end in itertools.pairwise(edges)]
    assert parse(*pieces) == parse(SOURCE)
    assert [event.text for event in parse(*pieces)] == ['"ä€😀"', "w\nx", "y\nz"]
