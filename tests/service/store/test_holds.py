import pytest

from service.audit import erasure
from service.audit.deed import Doer
from service.errors import Conflict, NotFound
from service.seal.vault import Vault
from service.store.database import open_database
from service.store.filters import Filters
from service.store.holds import Hold
from tests.harness.sql import ask
from tests.service.store.people import live, people
from tests.service.store.rows import CREATED_AT

NOW = CREATED_AT + 1_000_000
DOER = Doer(caller=None, request_id="r", trace_id=None, at=NOW, system_user="root")
ANN, BOB = people(2, 21)
TURNS = "SELECT turn_id FROM conversation_turn"


@pytest.fixture
async def database(url):
    opened = await open_database(url, Vault(masters=(b"m" * 32,)))
    yield opened
    await opened.close()


async def place(database, user, reason="case 7"):
    return await database.holds.place(user, reason, lambda who: erasure.placed(DOER, who), NOW)


async def release(database, user):
    return await database.holds.release(user, lambda who: erasure.released(DOER, who), NOW + 5)


async def holds_told(database):
    events = (await database.questions.events(Filters(entity_type="AUDIT_HOLD"), 9)).events
    return [(each.action, each.entity_id, each.metadata["subjectId"]) for each in reversed(events)]


async def test_a_hold_is_listed_while_it_lasts_and_both_ends_are_told_without_the_name(database, url):
    await live(database, ANN)
    who = await place(database, ANN.name)
    assert list(await database.holds.list()) == [Hold(ANN.name, "case 7", NOW)]
    assert await release(database, ANN.name) == who
    assert list(await database.holds.list()) == []
    assert await holds_told(database) == [("PLACED", who, who), ("RELEASED", who, who)]
    assert ANN.name not in repr(ask(url, "SELECT metadata, entity_id FROM audit_event"))


async def test_whoever_nobody_knows_yet_can_be_held_and_is_the_same_later(database, url):
    who = await place(database, ANN.name)
    await live(database, ANN)
    assert ask(url, "SELECT id, user_id FROM audit_subject") == [{"id": who, "user_id": ANN.name}]


async def test_there_is_one_hold_on_a_user(database):
    await place(database, ANN.name)
    with pytest.raises(Conflict):
        await place(database, ANN.name, "another")
    assert [each.reason for each in await database.holds.list()] == ["case 7"]
    assert len(await holds_told(database)) == 1


async def test_no_hold_cannot_be_released(database):
    with pytest.raises(NotFound):
        await release(database, ANN.name)
    assert await holds_told(database) == []


async def test_a_held_users_conversation_is_hidden_and_kept_until_the_hold_ends(database, url):
    for each in (ANN, BOB):
        await live(database, each)
    await place(database, ANN.name)
    for each in (ANN, BOB):
        await database.conversations.hide(f"c-{each.name[:6]}", each.name, NOW)
        assert await database.conversations.list(each.name, 9) == []
    assert ask(url, TURNS) == [{"turn_id": f"t-{ANN.name[:6]}"}]
    titled = "SELECT id FROM conversation WHERE title <> '' OR sealed_title IS NOT NULL"
    assert ask(url, titled) == [{"id": f"c-{ANN.name[:6]}"}]
    await release(database, ANN.name)
    assert ask(url, TURNS) == []
    assert ask(url, titled) == []


async def test_the_end_of_a_hold_leaves_what_is_not_hidden(database, url):
    await live(database, ANN)
    await place(database, ANN.name)
    await release(database, ANN.name)
    assert len(ask(url, TURNS)) == 1
    assert [each.title for each in await database.conversations.list(ANN.name, 9)] == [ANN.said]
