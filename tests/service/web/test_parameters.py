from datetime import UTC, datetime

import pytest

from service.errors import InvalidRequest
from service.store.filters import Filters
from service.store.questions import Grouping
from service.web.parameters import ExportQuery, Nothing, PageQuery, StatsQuery, UsageQuery, read, take


def wrong(kind, query):
    with pytest.raises(InvalidRequest) as caught:
        read(kind, query)
    return {each.field: each.message for each in caught.value.fields}


def micros(*parts):
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000


def test_nothing_given_means_turns_fifty_a_page():
    query = read(PageQuery, b"")
    assert (query.limit, query.cursor) == (50, None)
    assert query.filters() == Filters(entity_type="AGENT_QUERY")


def test_everything_given_arrives():
    query = read(
        PageQuery,
        b"actor=ann+b%C3%BC&outcome=refused&category=rate_limit&tool=calculate&model=m&role=CFO"
        b"&traceId=0af7651916cd43dd8448eb211c80319c&entityType=all&from=2025-01-01&to=2025-01-02&q=100%25"
        b"&limit=200&cursor=abc",
    )
    assert query.filters() == Filters(
        actor="ann bü",
        outcome="refused",
        category="rate_limit",
        tool="calculate",
        model="m",
        role="CFO",
        trace_id="0af7651916cd43dd8448eb211c80319c",
        since=micros(2025, 1, 1),
        until=micros(2025, 1, 2),
        q="100%",
    )
    assert (query.limit, query.cursor) == (200, "abc")
    assert type(query.filters().since) is int


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-01-31", micros(2025, 1, 31)),
        ("2025-01-31T12:00:00", micros(2025, 1, 31, 12)),
        ("2025-01-31T12:00:00Z", micros(2025, 1, 31, 12)),
        ("2025-01-31T12:00:00%2B02:00", micros(2025, 1, 31, 10)),
        ("2025-01-31T12:00:00-02:30", micros(2025, 1, 31, 14, 30)),
        ("2025-01-31T12:00:00.123456Z", micros(2025, 1, 31, 12) + 123_456),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1969-12-31", -86_400_000_000),
        ("9999-12-31", micros(9999, 12, 31)),
    ],
)
def test_a_time_is_exact(text, expected):
    assert read(UsageQuery, f"from={text}".encode()).since == expected


NO_TIMES = """
yesterday 2025-13-01 2025-02-30 2025-01-01T00:00:00+02:00 1735689600 2025 null 2025-01-01T25:00:00Z
2025-01-01%00 2025-01-01T00:00:00ZZ 2025-01-01T00:00:00%2B24:00 10000-01-01 -2025-01-01
"""


@pytest.mark.parametrize("text", ["", *NO_TIMES.split()])
def test_what_is_no_time_is_named(text):
    found = wrong(UsageQuery, f"to={text}".encode())
    assert list(found) == ["to"]
    assert "ISO 8601" in found["to"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (b"limit=0", "limit"),
        (b"limit=201", "limit"),
        (b"limit=-1", "limit"),
        (b"limit=", "limit"),
        (b"limit=5e1", "limit"),
        (b"limit=5.0", "limit"),
        (b"limit=+5", "limit"),
        (b"limit=%D9%A5", "limit"),
        (b"limit=99999999999999999999", "limit"),
        (b"limit=true", "limit"),
        (b"limit=5&limit=6", "limit"),
        (b"limit=5&limit=5", "limit"),
        (b"outcome=Answered", "outcome"),
        (b"outcome=null", "outcome"),
        (b"outcome=", "outcome"),
        (b"category=nothing", "category"),
        (b"traceId=0AF7651916CD43DD8448EB211C80319C", "traceId"),
        (b"traceId=0af7651916cd43dd8448eb211c80319c%0A", "traceId"),
        (b"traceId=abc", "traceId"),
        (b"actor=", "actor"),
        (b"actor=" + b"a" * 257, "actor"),
        (b"q=", "q"),
        (b"q=" + b"a" * 1001, "q"),
        (b"cursor=", "cursor"),
        (b"entityType=", "entityType"),
        (b"trace_id=x", "trace_id"),
        (b"Actor=x", "Actor"),
        (b"since=2025-01-01", "since"),
        (b"format=csv", "format"),
        (b"groupBy=user", "groupBy"),
        (b"=x", ""),
        (b"actor", "actor"),
        (b"__class__=x", "__class__"),
        (b"actor=%FF", "query"),
        (b"actor=%ED%A0%80", "query"),
        (b"actor=\xff", "query"),
        (b"&".join(b"x%d=1" % number for number in range(200)), "query"),
    ],
)
def test_what_is_wrong_is_named(query, field):
    assert list(wrong(PageQuery, query)) == [field]


def test_all_that_is_wrong_is_named_at_once():
    query = b"limit=0&outcome=x&from=x&nothing=1&actor=&limit=3"
    assert set(wrong(PageQuery, query)) == {"limit", "outcome", "from", "nothing", "actor"}


def test_a_span_that_ends_before_it_begins_is_refused_and_an_empty_one_is_not():
    assert list(wrong(UsageQuery, b"from=2025-01-02&to=2025-01-01")) == ["to"]
    assert read(UsageQuery, b"from=2025-01-01&to=2025-01-01").since == micros(2025, 1, 1)


def test_the_word_null_is_a_name_like_any_other():
    assert read(PageQuery, b"actor=null&model=123&role=true").filters() == Filters(
        actor="null", model="123", role="true", entity_type="AGENT_QUERY"
    )


def test_the_other_routes_take_what_is_theirs():
    assert read(ExportQuery, b"").format == "jsonl"
    assert list(wrong(ExportQuery, b"format=xml&limit=5&cursor=x")) == ["limit", "cursor", "format"]
    assert [read(UsageQuery, f"groupBy={each}".encode()).group_by for each in Grouping] == list(Grouping)
    assert list(wrong(UsageQuery, b"groupBy=users")) == ["groupBy"]
    assert list(wrong(Nothing, b"limit=1")) == ["limit"]
    assert read(StatsQuery, b"").filters() == Filters()


def test_names_and_values_are_taken_like_a_query_string():
    assert take(PageQuery, [("limit", "7"), ("actor", "a&b=c")]).filters().actor == "a&b=c"
