"""What is said in conversations lies under its user's key: never in clear, in no other place, and erased."""

import json

import pytest
from msgspec.structs import replace

from service.audit import rotation
from service.audit.deed import Doer
from service.errors import DatabaseError, NotFound, RowRefused
from service.seal.vault import Vault
from service.store import plain
from service.store.database import open_database
from service.store.privacy import UNREADABLE
from tests.harness.sql import ask
from tests.service.store.rows import CREATED_AT, Row
from tests.service.store.test_conversations import ONE, TWO, turn

OLD, NEW, LOST = b"o" * 32, b"n" * 32, b"l" * 32
SAID = json.dumps([{"role": "user", "content": "the secret words"}])
CELLS = "SELECT title, sealed_title FROM conversation", "SELECT messages, sealed FROM conversation_turn"
DOER = Doer(caller=None, request_id="r", trace_id=None, at=CREATED_AT + 9)


@pytest.fixture
async def opened(url):
    made = []

    async def make(*masters, sealed=False):
        made.append(await open_database(url, Vault(masters=masters, sealed=sealed)))
        return made[-1]

    yield make
    for each in made:
        await each.close()


def cells(url):
    """What stands in clear, and whether something is sealed beside it."""
    return [(each[0], each[1] is not None) for sql in CELLS for each in map(tuple, values(url, sql))]


def values(url, sql):
    return [tuple(row.values()) for row in ask(url, sql)]


async def said(database, conversation=ONE, user="ann"):
    found = await database.conversations.find(conversation, user)
    turns = await database.conversations.recall(conversation, user, 50)
    return found.title, [each.messages for each in turns]


@pytest.mark.parametrize("sealed", [False, True])
async def test_nothing_lies_in_clear_whatever_the_audit_does(opened, url, sealed):
    database = await opened(NEW, sealed=sealed)
    await database.conversations.keep("ann", "the title", turn(messages=SAID))
    assert cells(url) == [("", True), ("", True)]
    assert b"secret" not in b"".join(bytes(cell[1]) for sql in CELLS for cell in values(url, sql))
    assert await said(database) == ("the title", [SAID])
    assert [each.title for each in await database.conversations.list("ann", 9)] == ["the title"]


async def test_texts_of_a_user_share_the_key_that_the_audit_uses(opened, url):
    database = await opened(NEW, sealed=True)
    await database.conversations.keep("ann", "t", turn(messages=SAID))
    await database.audit.append([Row(id="r1", actor_id="ann", query="q", created_at=CREATED_AT)])
    await database.conversations.keep("ann", "t", turn(2, messages=SAID))
    assert ask(url, "SELECT count(*) AS n FROM audit_subject") == [{"n": 1}]
    assert len((await said(database))[1]) == 2


async def test_what_was_kept_in_clear_is_read_and_a_start_seals_it(opened, url, monkeypatch):
    monkeypatch.setattr(plain, "STEP", 2)
    before = await opened()
    for number in range(1, 6):
        await before.conversations.keep(f"user-{number % 2}", "t", turn(number, f"c-{number}", messages=SAID))
    assert {clear for clear, _ in cells(url)} == {"t", SAID}
    database = await opened(NEW)
    assert cells(url) == [("", True)] * 10
    assert await said(database, "c-5", "user-1") == ("t", [SAID])
    await opened(NEW)
    assert await said(database, "c-5", "user-1") == ("t", [SAID])


async def test_what_another_process_keeps_in_clear_meanwhile_is_read(opened):
    database, before = await opened(NEW), await opened()
    await before.conversations.keep("ann", "t", turn(messages=SAID))
    assert await said(database) == ("t", [SAID])


async def test_a_new_master_key_opens_all_of_it(opened):
    await (await opened(OLD)).conversations.keep("ann", "t", turn(messages=SAID))
    both = await opened(NEW, OLD)
    await both.rotation.rotate(
        lambda key_id, done: rotation.rotated(
            DOER, key_id, data_keys=done.data_keys, contents=done.contents, quarantined=done.quarantined
        )
    )
    assert await said(await opened(NEW)) == ("t", [SAID])


async def test_a_master_key_that_is_lost_loses_nothing_and_says_so(opened):
    await (await opened(OLD)).conversations.keep("ann", "t", turn(messages=SAID))
    lost = await opened(LOST)
    with pytest.raises(DatabaseError, match=UNREADABLE):
        await lost.conversations.recall(ONE, "ann", 50)
    with pytest.raises(DatabaseError, match=UNREADABLE):
        await lost.conversations.rename(ONE, "ann", "other")
    with pytest.raises(RowRefused, match=UNREADABLE):
        await lost.conversations.keep("ann", "t", turn(2, TWO))
    assert [each.title for each in await lost.conversations.list("ann", 9)] == [None]
    assert await said(await opened(OLD)) == ("t", [SAID])


DAMAGE = {
    "cut": "UPDATE conversation_turn SET sealed = substr(sealed, 1, 20) WHERE turn_id = 'turn-1'",
    "moved": "UPDATE conversation_turn SET sealed = (SELECT sealed FROM conversation_turn AS other "
    "WHERE other.turn_id = 'turn-2') WHERE turn_id = 'turn-1'",
    "titled": "UPDATE conversation_turn SET sealed = (SELECT sealed_title FROM conversation "
    "WHERE user_id = 'ann') WHERE turn_id = 'turn-1'",
    "handed over": "UPDATE conversation SET user_id = 'bob'",
}


@pytest.mark.parametrize("how", DAMAGE)
async def test_what_was_damaged_or_moved_does_not_open(opened, url, how):
    database = await opened(NEW)
    for user, number, place in (("ann", 1, ONE), ("ann", 2, ONE), ("bob", 3, TWO)):
        await database.conversations.keep(user, "t", turn(number, place, messages=SAID))
    ask(url, DAMAGE[how])
    with pytest.raises(DatabaseError, match=UNREADABLE):
        await database.conversations.recall(ONE, "bob" if how == "handed over" else "ann", 50)


async def test_erasing_forgets_the_key_and_all_of_it(opened, url):
    database = await opened(NEW)
    await database.conversations.keep("ann", "t", turn(messages=SAID))
    assert await database.conversations.keep("bob", "t", turn(2, TWO, messages=SAID))
    row = Row(id="e", actor_id=None, entity_type="AUDIT_ERASURE", created_at=CREATED_AT)
    done = await database.erasures.erase("ann", lambda _: row, turn().asked_at + 1)
    assert (done.conversations, len(cells(url))) == (1, 2)
    assert ask(url, "SELECT user_id FROM audit_subject") == [{"user_id": "bob"}]
    assert await database.conversations.keep("ann", "t", turn(3, messages=SAID, asked_at=1)) is False
    assert ask(url, "SELECT user_id FROM audit_subject") == [{"user_id": "bob"}]
    again = turn(4, messages=SAID, asked_at=turn().asked_at + 2)
    assert await database.conversations.keep("ann", "new", again) is True
    assert await said(database) == ("new", [SAID])
    assert await database.conversations.keep("ann", "t", turn(5, messages=SAID, asked_at=1)) is False


async def test_a_hidden_one_has_no_sealed_title(opened, url):
    database = await opened(NEW)
    await database.conversations.keep("ann", "t", turn(messages=SAID))
    await database.conversations.hide(ONE, "ann", 7)
    assert cells(url) == [("", False)]


async def test_one_under_legal_hold_is_kept_sealed_until_the_hold_ends(opened, url):
    database = await opened(NEW)
    await database.conversations.keep("ann", "t", turn(messages=SAID))
    row = Row(id="h1", actor_id=None, entity_type="AUDIT_HOLD", created_at=CREATED_AT)
    await database.holds.place("ann", "a reason", lambda _: row, CREATED_AT)
    await database.conversations.hide(ONE, "ann", 7)
    assert cells(url) == [("", True), ("", True)]
    await database.holds.release("ann", lambda _: replace(row, id="h2"), CREATED_AT)
    assert cells(url) == [("", False)]


@pytest.mark.parametrize("masters", [(), (NEW,)])
async def test_a_title_is_changed_and_no_turn_changes_it_back(opened, masters):
    database = await opened(*masters)
    await database.conversations.keep("ann", "first", turn(messages=SAID))
    before = await database.conversations.find(ONE, "ann")
    assert await database.conversations.rename(ONE, "ann", "ours \0") == replace(before, title="ours \\u0000")
    await database.conversations.keep("ann", "second", turn(2, messages=SAID))
    found = await database.conversations.find(ONE, "ann")
    assert (found.title, found.turns) == ("ours \\u0000", 2)


async def test_anothers_title_is_not_changed(opened):
    database = await opened(NEW)
    await database.conversations.keep("ann", "t", turn(messages=SAID))
    for user, place in (("bob", ONE), ("ann", TWO)):
        with pytest.raises(NotFound):
            await database.conversations.rename(place, user, "mine")
    await database.conversations.hide(ONE, "ann", 7)
    with pytest.raises(NotFound):
        await database.conversations.rename(ONE, "ann", "again")


async def test_what_the_model_will_not_be_told_is_not_read(opened):
    database = await opened(NEW)
    for number, tokens in ((1, None), (2, 50), (3, 60), (4, 40)):
        await database.conversations.keep("ann", "t", turn(number, messages=SAID, tokens=tokens))
    recall = database.conversations.recall
    for most, found in (
        (0, [4]),
        (39, [4]),
        (40, [3, 4]),
        (99, [3, 4]),
        (100, [2, 3, 4]),
        (150, [1, 2, 3, 4]),
    ):
        assert [each.position for each in await recall(ONE, "ann", 50, most)] == found
    assert [each.tokens for each in await recall(ONE, "ann", 3)] == [50, 60, 40]
