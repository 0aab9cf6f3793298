"""Conversations in the database: a user's own, whole turns only, and gone when they are hidden."""

import asyncio
import json

import pytest
from msgspec.structs import replace
from piccolo.querystring import QueryString

from service.errors import DatabaseError, NotFound, RowRefused
from service.store.conversations import KeptTurn
from service.store.database import open_database
from telemetry import ids

ONE, TWO = "0190163d-8694-739b-b3c1-cf0a1b2c3d4e", "0190163d-8694-739b-b3c1-cf0a1b2c3d4f"
MESSAGES = json.dumps([{"role": "user", "content": "How much?"}])
NEVER = ["", "x", ONE.upper(), ONE + " ", "%", "' OR 1=1 --", "\0", "\ud800"]


def turn(number=1, conversation=ONE, **other):
    made = KeptTurn(
        turn_id=f"turn-{number}",
        conversation_id=conversation,
        position=number,
        model="model-1",
        messages=MESSAGES,
        asked_at=1_764_000_000_000_000 + 10 * number,
        answered_at=1_764_000_000_000_005 + 10 * number,
    )
    return replace(made, **other)


async def rows(database, table="conversation_turn"):
    return await database._engine.run_querystring(QueryString(f"SELECT * FROM {table}"))  # noqa: S608 - ours


async def names_of(database, user="ann", limit=50, **place):
    return [found.id for found in await database.conversations.list(user, limit, **place)]


async def test_turns_come_back_as_they_were_oldest_first(database):
    given = [turn(2), turn(1, model="model-2"), turn(3)]
    for each in given:
        assert await database.conversations.keep("ann", "title", each) is True
    assert list(await database.conversations.recall(ONE, "ann", 50)) == [given[1], given[0], given[2]]


async def test_only_the_latest_are_recalled(database):
    for number in range(1, 6):
        await database.conversations.keep("ann", "title", turn(number))
    assert [each.position for each in await database.conversations.recall(ONE, "ann", 2)] == [4, 5]


async def test_two_turns_that_knew_of_the_same_are_both_kept_in_the_order_they_began(database):
    for number in (3, 2):
        await database.conversations.keep("ann", "title", turn(number, position=2))
    found = await database.conversations.recall(ONE, "ann", 50)
    assert [each.turn_id for each in found] == ["turn-2", "turn-3"]


async def test_a_turn_is_kept_once_however_often_it_is_told(database):
    for messages in (MESSAGES, "[]"):
        assert await database.conversations.keep("ann", "title", turn(messages=messages)) is True
    assert [each.messages for each in await database.conversations.recall(ONE, "ann", 50)] == [MESSAGES]


async def test_the_conversation_has_its_first_title_and_its_times(database):
    await database.conversations.keep("ann", "first", turn(1))
    await database.conversations.keep("ann", "second", turn(3))
    await database.conversations.keep("ann", "third", turn(2))
    found = await database.conversations.find(ONE, "ann")
    assert (found.title, found.created_at, found.updated_at) == (
        "first",
        turn(1).asked_at,
        turn(3).answered_at,
    )


async def test_nobody_knows_an_unknown_one(database):
    assert list(await database.conversations.recall(ONE, "ann", 50)) == []
    with pytest.raises(NotFound):
        await database.conversations.find(ONE, "ann")
    with pytest.raises(NotFound):
        await database.conversations.hide(ONE, "ann", 1)


@pytest.mark.parametrize("user", ["bob", "", "ANN", "ann ", "ann\0", "\ud800"])
async def test_another_users_is_not_found_and_not_changed(database, user):
    await database.conversations.keep("ann", "title", turn())
    conversations = database.conversations
    for refused in (
        conversations.find(ONE, user),
        conversations.recall(ONE, user, 50),
        conversations.hide(ONE, user, 1),
        conversations.hide(ONE, user, 1, early=True),
    ):
        with pytest.raises(NotFound):
            await refused
    assert await conversations.keep(user, "title", turn(2)) is False
    assert await names_of(database, user) == []
    assert [each["turn_id"] for each in await rows(database)] == ["turn-1"]


@pytest.mark.parametrize("conversation_id", NEVER)
async def test_any_other_id_finds_nothing(database, conversation_id):
    await database.conversations.keep("ann", "title", turn())
    with pytest.raises(NotFound):
        await database.conversations.find(conversation_id, "ann")
    with pytest.raises(NotFound):
        await database.conversations.hide(conversation_id, "ann", 1)


async def test_a_hidden_one_is_gone_for_its_owner_too(database):
    await database.conversations.keep("ann", "the title", turn(1))
    await database.conversations.keep("ann", "the title", turn(2, TWO))
    await database.conversations.hide(ONE, "ann", 7)
    assert await names_of(database) == [TWO]
    for refused in (
        database.conversations.find(ONE, "ann"),
        database.conversations.recall(ONE, "ann", 50),
        database.conversations.hide(ONE, "ann", 8),
    ):
        with pytest.raises(NotFound):
            await refused
    assert [each["turn_id"] for each in await rows(database)] == ["turn-2"]
    assert {
        each["id"]: (each["title"], each["hidden_at"]) for each in await rows(database, "conversation")
    } == {
        ONE: ("", 7),
        TWO: ("the title", None),
    }


async def test_what_comes_after_the_hiding_is_not_kept(database):
    await database.conversations.keep("ann", "title", turn(1))
    await database.conversations.hide(ONE, "ann", 7)
    assert await database.conversations.keep("ann", "title", turn(2)) is False
    assert await rows(database) == []


@pytest.mark.parametrize("already", [True, False])
async def test_one_may_be_hidden_before_its_first_turn_is_written(database, already):
    if already:
        await database.conversations.keep("ann", "title", turn(1))
    await database.conversations.hide(ONE, "ann", 7, early=True)
    assert await database.conversations.keep("ann", "title", turn(1)) is False
    assert (await rows(database), await names_of(database)) == ([], [])
    with pytest.raises(NotFound):
        await database.conversations.hide(ONE, "ann", 8, early=True)


async def test_pages_are_latest_first_and_leave_nothing_out(database):
    made = sorted(ids.uuid7() for _ in range(7))
    for number, each in enumerate(made):
        # pairs of the same moment: the id decides
        await database.conversations.keep("ann", "t", turn(number, each, answered_at=number // 2))
    await database.conversations.keep("bob", "t", turn(99, TWO))
    read = []
    while page := await database.conversations.list("ann", 3, *([read[-1]] if read else [])):
        read += [(each.updated_at, each.id) for each in page]
    assert [name for _, name in read] == [name for _, name in sorted(read, reverse=True)]
    assert sorted(name for _, name in read) == made


async def test_text_no_database_holds_is_kept_visibly(database):
    await database.conversations.keep("a\0b", "t\0\ud800", turn())
    found = await database.conversations.find(ONE, "a\0b")
    assert found.title == "t\\u0000\\ud800"


async def test_many_at_once_are_all_kept(database):
    await asyncio.gather(
        *(database.conversations.keep("ann", "title", turn(number)) for number in range(1, 31))
    )
    assert len(await database.conversations.recall(ONE, "ann", 50)) == 30


async def test_a_turn_that_cannot_be_kept_leaves_no_conversation(database):
    with pytest.raises(DatabaseError):
        await database.conversations.keep("ann", "title", turn(position=1 << 70))
    assert await rows(database, "conversation") == []


async def test_another_process_knows_them_at_once(database, url):
    other = await open_database(url)
    await database.conversations.keep("ann", "title", turn())
    assert list(await other.conversations.recall(ONE, "ann", 50)) == [turn()]
    await other.conversations.hide(ONE, "ann", 7)
    assert await database.conversations.keep("ann", "title", turn(2)) is False
    await other.close()


async def test_turns_that_end_together_are_all_kept_and_each_is_told_its_own(database):
    await database.conversations.keep("ann", "title", turn(0, conversation="hidden"))
    await database.conversations.hide("hidden", "ann", 5)
    turns = [turn(number, conversation=f"conversation {number % 7}") for number in range(1, 40)]
    late = turn(40, conversation="hidden")
    keep = database.conversations.keep
    kept = await asyncio.gather(*[keep("ann", "title", each) for each in (*turns, late)])
    assert kept == [True] * 39 + [False]
    for number in range(7):
        mine = [each for each in turns if each.conversation_id == f"conversation {number}"]
        assert list(await database.conversations.recall(f"conversation {number}", "ann", 100)) == mine


async def test_one_that_the_database_refuses_harms_none_of_those_it_came_with(database):
    good, bad = turn(1), turn(2, conversation="another", tokens=1 << 70)
    keep = database.conversations.keep
    said = [keep("ann", "title", each) for each in (turn(0, conversation="first"), bad, good)]
    first, refused, kept = await asyncio.gather(*said, return_exceptions=True)
    assert (first, kept) == (True, True)
    assert isinstance(refused, RowRefused)
    assert await database.conversations.recall(bad.conversation_id, "ann", 100) == ()
