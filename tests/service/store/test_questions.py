import json
from collections import defaultdict
from random import Random

import msgspec
import pytest

from service.errors import DatabaseError
from service.store.event import NAMES
from service.store.filters import MANY, Filters
from service.store.keys import StoredKey
from service.store.questions import Grouping
from tests.harness.sql import ask
from tests.service.store.rows import CREATED_AT, Row

DAY = 86_400_000_000
KEY = StoredKey(id="key-1", user_id="ann", role="CFO", scopes=(), digest="ab", created_at=5)


def metadata(*tools, **more):
    return json.dumps({"toolsCalled": list(tools), **more})


def erase(url, log_index, words):
    sets = (
        "query = NULL, salt = NULL" if url.startswith("sqlite") else "query = NULL, salt = NULL, words = NULL"
    )
    if url.startswith("sqlite"):
        # its index holds no text: it is told again which words to take out
        forget = "INSERT INTO audit_words (audit_words, rowid, words) VALUES ('delete', ?, ?)"
        ask(url, forget, log_index, words)
    ask(url, f"UPDATE audit_content SET {sets} WHERE log_index = {log_index}")  # noqa: S608 - our own


def row(number, **fields):
    return Row(**{"id": f"event-{number:04d}", "created_at": CREATED_AT + number, **fields})


def numbers(page):
    return [int(event.id[-4:]) for event in page.events]


async def all_numbers(database, filters, size):
    return [int(event.id[-4:]) async for page in database.questions.pages(filters, size) for event in page]


async def found(database, **filters):
    return numbers(await database.questions.events(Filters(**filters), 50))


async def test_an_event_has_the_views_columns_and_what_the_view_shows(database, url):
    await database.audit.append([row(1, metadata=metadata("calculate", outcome="answered"), category=None)])
    (event,) = (await database.questions.events(Filters(), 10)).events
    (shown,) = ask(url, 'SELECT * FROM "AuditEvent"')
    told = msgspec.to_builtins(event)
    assert shown.pop("tenant") is None
    assert tuple(shown) == NAMES == tuple(told)
    assert told["metadata"] == json.loads(shown.pop("metadata"))
    assert {name: told[name] for name in shown} == shown
    assert event.metadata["query"] == "How much did we spend?"
    assert await database.questions.event("event-0001") == event


@pytest.mark.parametrize("event_id", ["", "event-9", "event-0001\0", "\ud800", "%", "' OR 1=1 --", "{}"])
async def test_another_id_finds_no_event(database, event_id):
    await database.audit.append([row(1)])
    assert await database.questions.event(event_id) is None


async def test_pages_are_newest_first_and_share_nothing_also_where_times_are_equal(database):
    rows = [row(number, created_at=CREATED_AT + number // 3) for number in range(20)]
    mixed = Random(7).sample(rows, 20)  # noqa: S311 - any order will do
    await database.audit.append(mixed)
    places = sorted(range(20), key=lambda place: (mixed[place].created_at, place), reverse=True)
    for size in (1, 2, 3, 19, 20, 21):
        assert await all_numbers(database, Filters(), size) == [int(mixed[place].id[-4:]) for place in places]


async def test_the_last_page_says_that_it_is_the_last(database):
    await database.audit.append([row(number) for number in range(4)])
    whole = await database.questions.events(Filters(), 4)
    assert (numbers(whole), whole.last) == ([3, 2, 1, 0], None)
    first = await database.questions.events(Filters(), 3)
    assert (numbers(first), first.last) == ([3, 2, 1], (CREATED_AT + 1, 1))
    assert numbers(await database.questions.events(Filters(), 3, first.last)) == [0]


async def test_rows_that_come_while_pages_are_read_double_nothing(database):
    await database.audit.append([row(number) for number in range(10, 20)])
    seen = []
    async for page in database.questions.pages(Filters(), 4):
        seen += [event.id for event in page]
        await database.audit.append([row(30 + len(seen)), row(len(seen) // 4)])
    assert len(seen) == len(set(seen))
    assert {f"event-{number:04d}" for number in range(10, 20)} <= set(seen)


FIELDS = {
    "actor": "actor_id",
    "outcome": "outcome",
    "category": "category",
    "model": "model",
    "role": "role",
    "trace_id": "trace_id",
    "entity_type": "entity_type",
}


@pytest.mark.parametrize("name", FIELDS)
async def test_a_filter_means_exactly_its_value(database, name):
    column = FIELDS[name]
    values = ["a", "A", "a ", "ab", "%"] + ([] if name == "entity_type" else [None])
    await database.audit.append([row(number, **{column: value}) for number, value in enumerate(values)])
    assert [await found(database, **{name: value}) for value in ("a", "A", "%", "a%", "b")] == [
        [0],
        [1],
        [4],
        [],
        [],
    ]


async def test_filters_are_and(database):
    for number in range(16):
        actor, outcome, tool, role = (("x", "y")[number >> bit & 1] for bit in range(4))
        fields = {"actor_id": actor, "outcome": outcome, "role": role, "metadata": metadata(tool)}
        await database.audit.append([row(number, **fields)])
    assert await found(database, actor="y", outcome="x", tool="y", role="x") == [5]
    assert await found(database, actor="x", role="y", since=CREATED_AT + 9, until=CREATED_AT + 13) == [12, 10]
    assert await found(database, tool="y", since=CREATED_AT + 9, until=CREATED_AT + 13) == [12]


async def test_the_span_has_its_beginning_and_not_its_end(database):
    await database.audit.append([row(number) for number in range(5)])
    assert await found(database, since=CREATED_AT + 1, until=CREATED_AT + 3) == [2, 1]
    assert await all_numbers(database, Filters(since=CREATED_AT + 1, until=CREATED_AT + 4), 1) == [3, 2, 1]


async def test_a_tool_finds_each_event_once_whatever_else_was_called(database):
    rows = [metadata("b", "a"), metadata("b"), metadata(), "{}", '{"toolsCalled":"b"}', '{"toolsCalled":[1]}']
    await database.audit.append([row(number, metadata=each) for number, each in enumerate(rows)])
    await database.audit.append([row(0, metadata=rows[0])])
    assert (await found(database, tool="b"), await found(database, tool="a")) == ([1, 0], [0])
    assert await all_numbers(database, Filters(tool="b"), 1) == [1, 0]


@pytest.mark.parametrize("odd", ["x\0y", "\ud800", "ü'\"{}%", "a" * 5_000])
async def test_an_odd_tool_costs_no_row_and_is_found(database, odd):
    encoded = json.dumps({"toolsCalled": [odd, "b"]}) if odd != "\ud800" else metadata("\\ud800", "b")
    await database.audit.append([row(1, metadata=encoded)])
    assert await found(database, tool="b") == [1]
    assert await found(database, tool=odd) == [1]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("spend", [3, 0]),
        ("SPEND", [3, 0]),
        ("100%", [1]),
        ("%", []),
        ("_", []),
        ("", []),
        ("5 of", [1]),
        ("a_b!", [2]),
        ("b a", [2]),
        ("spen", []),
        ("über", [4]),
        ("ÜBER", [4]),
        ("u\u0308ber", [4]),
        ("uber", []),
        ("'; DROP", [3]),
        ("spend drop", [3]),
        ('" OR "how', []),
        ("spend*", [3, 0]),
        ("words:spend", []),
        ("NOT", []),
        ("spend\0", []),
        ("nothing", []),
        ("s" * 1_000, []),
    ],
)
async def test_an_event_is_found_by_words_of_its_query_all_of_them_in_any_case_and_order(
    database, q, expected
):
    queries = ["How much did we spend?", "100% of 5", "a_b!", "'; DROP TABLE x -- Spend", "Über", None]
    await database.audit.append([row(number, query=query) for number, query in enumerate(queries)])
    assert await found(database, q=q) == expected


async def test_erased_content_is_found_no_more(database, url):
    await database.audit.append([row(1)])
    erase(url, 0, "how much did we spend")
    assert await found(database, q="spend") == []
    event = await database.questions.event("event-0001")
    assert (event.metadata["query"], event.metadata["content"]) == (None, "erased")


def some_turns():
    chance = Random(42)  # noqa: S311 - the same turns each time
    users = [("ann", "CFO"), ("bob", "AUDITEE"), ("eve", "GUEST"), (None, None)]
    for number in range(200):
        user, role = chance.choice(users)
        tools = chance.sample(["calculate", "current_time", "search"], chance.randrange(4))
        cost = chance.choice([0, 1, 333_333, 999_999, 123_456_789])
        yield row(
            number,
            actor_id=user,
            role=role,
            model=chance.choice(["m1", "m2", None]),
            count=chance.choice([1, 1, 7]),
            input_tokens=chance.randrange(100_000),
            output_tokens=chance.randrange(1_000),
            cost_micros=cost,
            metadata=metadata(*tools),
            created_at=CREATED_AT + chance.randrange(5) * DAY,
        )


def key_of(turn, grouping):
    """Worked out another way than the store does."""
    if grouping is Grouping.DAY:
        return [f"2025-11-{24 + (turn.created_at - CREATED_AT) // DAY}"]
    if grouping is Grouping.TOOL:
        return json.loads(turn.metadata)["toolsCalled"] or [None]
    return [{"user": turn.actor_id, "role": turn.role, "model": turn.model}[grouping.value]]


def summed(turns):
    return (
        sum(turn.count for turn in turns),
        sum(turn.count * turn.input_tokens for turn in turns),
        sum(turn.count * turn.output_tokens for turn in turns),
        sum(turn.count * turn.cost_micros for turn in turns),
    )


@pytest.mark.parametrize("grouping", Grouping)
async def test_usage_is_the_sum_of_the_rows_to_the_micro_dollar(database, grouping):
    turns = list(some_turns())
    other = row(999, entity_type="AUDIT_ACCESS", cost_micros=5)
    await database.audit.append([*turns, other])
    expected = defaultdict(list)
    for turn in turns:
        for key in key_of(turn, grouping):
            expected[key].append(turn)
    usage = await database.questions.usage(grouping, Filters())
    assert {key: msgspec.structs.astuple(sums) for key, sums in usage.rows} == {
        key: summed(group) for key, group in expected.items()
    }
    assert msgspec.structs.astuple(usage.total) == summed(turns)
    if grouping is not Grouping.TOOL:
        assert sum(sums.cost_micros for _, sums in usage.rows) == usage.total.cost_micros


async def test_usage_of_one_user_in_a_span_is_theirs_alone(database):
    turns = list(some_turns())
    await database.audit.append(turns)
    until = CREATED_AT + 2 * DAY
    meant = [turn for turn in turns if turn.actor_id == "bob" and turn.created_at < until]
    usage = await database.questions.usage(Grouping.USER, Filters(actor="bob", until=until))
    assert [(key, msgspec.structs.astuple(sums)) for key, sums in usage.rows] == [("bob", summed(meant))]
    assert msgspec.structs.astuple(usage.total) == summed(meant)


@pytest.mark.parametrize("grouping", Grouping)
async def test_nothing_adds_up_to_nothing(database, grouping):
    usage = await database.questions.usage(grouping, Filters())
    assert (usage.rows, msgspec.structs.astuple(usage.total)) == ([], (0, 0, 0, 0))


async def test_usage_has_the_dearest_first_and_days_in_their_order(database):
    costs = [(1, "a"), (9, "b"), (5, None)]
    rows = [
        row(n, cost_micros=cost, actor_id=user, created_at=CREATED_AT + n * DAY)
        for n, (cost, user) in enumerate(costs)
    ]
    await database.audit.append(rows)
    by_user = await database.questions.usage(Grouping.USER, Filters())
    assert [key for key, _ in by_user.rows] == ["b", None, "a"]
    by_day = await database.questions.usage(Grouping.DAY, Filters())
    assert [key for key, _ in by_day.rows] == ["2025-11-24", "2025-11-25", "2025-11-26"]


async def test_a_role_is_that_of_the_last_turn_or_of_a_newer_key(database):
    assert await database.questions.role_of("ann") is None
    await database.keys.add(KEY)
    assert await database.questions.role_of("ann") == "CFO"
    await database.audit.append([row(1, actor_id="ann", role="GUEST"), row(2, actor_id="ann", role=None)])
    assert await database.questions.role_of("ann") == "GUEST"
    later = msgspec.structs.replace(KEY, id="key-2", role="AUDITOR", created_at=CREATED_AT + 9)
    await database.keys.add(later)
    assert await database.questions.role_of("ann") == "AUDITOR"
    assert await database.questions.role_of("a\0nn\ud800") is None


async def test_stats_count_rows_and_what_they_stand_for(database):
    await database.audit.append(
        [
            row(1, count=4, outcome="refused", category="validation"),
            row(2, metadata=metadata("a")),
            row(3, entity_type="AUDIT_ACCESS", outcome=None),
        ]
    )
    stats = await database.questions.stats(Filters())
    assert (stats.rows, stats.events, stats.oldest, stats.newest) == (3, 6, CREATED_AT + 1, CREATED_AT + 3)
    assert stats.entity_types == {"AGENT_QUERY": 5, "AUDIT_ACCESS": 1}
    assert (stats.outcomes, stats.categories) == ({"refused": 4, "answered": 1}, {"validation": 4})
    assert (await database.questions.stats(Filters(tool="a"))).rows == 1
    assert (await database.questions.stats(Filters(actor="nobody"))).oldest is None


async def test_a_closed_database_answers_no_question(database):
    await database.close()
    with pytest.raises(DatabaseError):
        await database.questions.events(Filters(), 1)


async def test_words_that_very_many_texts_have_find_the_same_page(database):
    rows = [
        row(number, actor_id=f"user-{number % 7}", created_at=CREATED_AT + number % 97)
        for number in range(MANY + 50)
    ]
    for start in range(0, len(rows), 2_000):
        await database.audit.append(rows[start : start + 2_000])
    newest = sorted(range(len(rows)), key=lambda place: (rows[place].created_at, place), reverse=True)
    assert await found(database, q="SPEND how") == newest[:50]
    assert await found(database, q="spend", actor="user-3") == [n for n in newest if n % 7 == 3][:50]
    last = (rows[newest[49]].created_at, newest[49])
    page = await database.questions.events(Filters(q="spend"), 50, last)
    assert [event.log_index for event in page.events] == newest[50:100]
    assert await found(database, q="spend nothing") == []


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 7), ({"tool": "calculate"}, 4), ({"q": "spend"}, 7), ({"q": "nothing"}, 0),
        ({"actor": "user-1"}, 7), ({"actor": "nobody"}, 0), ({"since": CREATED_AT + 5}, 2),
        ({"tool": "calculate", "q": "much spend"}, 4),
    ],
    ids=str,
)  # fmt: skip
async def test_events_are_counted_as_they_are_found(database, asked, count):
    tools = [metadata("calculate", "current_time") if number % 2 == 0 else metadata() for number in range(7)]
    await database.audit.append([row(number, metadata=tools[number]) for number in range(7)])
    assert len(await found(database, **asked)) == count
    assert await database.questions.count(Filters(**asked), 100) == count
    assert await database.questions.count(Filters(**asked), 3) == min(count, 3)
