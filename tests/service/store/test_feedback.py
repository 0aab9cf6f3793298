"""What callers say of their own turns: one rating each, a comment that only their key opens."""

import hmac
from hashlib import sha256

import pytest
from msgspec import structs
from piccolo.querystring import QueryString

from service.audit import erasure, opinion, retention
from service.audit.deed import Doer
from service.errors import DatabaseError, NotFound
from service.seal.vault import Vault
from service.store.conversations import KeptTurn
from service.store.database import open_database
from service.store.feedback import Feedback, Given
from service.store.filters import Filters
from tests.harness.sql import ask
from tests.service.store.rows import CREATED_AT, Row

NOW = CREATED_AT + 1_000
VAULT = Vault(masters=(bytes(range(32)),))
WORDS = "zq9 exactly what I needed"
UP = Feedback(turn_id="turn-1", rating="up", comment=WORDS, given_at=NOW, model="model-a", trace_id="a" * 32)
DOWN = structs.replace(UP, rating="down", comment=None, given_at=NOW + 1)
DOER = Doer(caller=None, request_id="r", trace_id=None, at=NOW)


def tell(said, commitment):
    return opinion.given(DOER, said.turn_id, said.rating, commitment)


@pytest.fixture
async def database(url):
    opened = await open_database(url, VAULT)
    yield opened
    await opened.close()


@pytest.fixture
async def asked(database):
    """A database with one turn of ann's, whose row is written."""
    row = Row(id="turn-1", entity_id="turn-1", actor_id="ann", model="model-a", trace_id="a" * 32)
    await database.audit.append([row])
    return database


async def events(database):
    page = await database.questions.events(Filters(entity_type="AGENT_FEEDBACK"), 9)
    return [each.metadata for each in reversed(page.events)]


async def test_a_turn_is_its_callers_by_its_row(asked):
    assert await asked.feedback.turn_of("turn-1", "ann") == ("model-a", "a" * 32)
    for turn, user in (("turn-1", "bob"), ("turn-2", "ann"), ("", ""), ("a\0", "ann")):
        with pytest.raises(NotFound):
            await asked.feedback.turn_of(turn, user)


async def test_before_its_row_is_written_it_is_known_by_its_conversation(database):
    turn = KeptTurn(
        turn_id="turn-9",
        conversation_id="c",
        position=1,
        model="model-b",
        messages="[]",
        asked_at=NOW,
        answered_at=NOW,
    )
    await database.conversations.keep("ann", "title", turn)
    assert await database.feedback.turn_of("turn-9", "ann") == ("model-b", None)
    with pytest.raises(NotFound):
        await database.feedback.turn_of("turn-9", "bob")
    await database.audit.append([Row(id="turn-9", actor_id="ann", model="model-b", trace_id="b" * 32)])
    assert await database.feedback.turn_of("turn-9", "ann") == ("model-b", "b" * 32)


async def test_what_is_said_again_stands_in_place_of_what_was(asked):
    assert await asked.feedback.find("turn-1") is None
    for said in (UP, DOWN, UP):
        await asked.feedback.give("ann", said, tell)
        assert await asked.feedback.find("turn-1", "ann") == said
    assert await asked.feedback.find("turn-1", "bob") is None
    assert [(each["rating"], each["commented"]) for each in await events(asked)] == [
        ("up", True),
        ("down", False),
        ("up", True),
    ]


async def test_the_comment_is_sealed_and_its_salt_opens_what_the_audit_has_of_it(asked, url):
    await asked.feedback.give("ann", UP, tell)
    (kept,) = ask(url, "SELECT comment, salt FROM feedback")
    assert WORDS.encode() not in bytes(kept["comment"])
    (event,) = await events(asked)
    assert event["commentCommitment"] == hmac.digest(bytes(kept["salt"]), WORDS.encode(), sha256).hex()
    assert not [each for each in ask(url, "SELECT metadata FROM audit_event") if "zq9" in each["metadata"]]


async def test_it_is_withdrawn_by_whoever_gave_it(asked, url):
    await asked.feedback.give("ann", UP, None)
    for user, turn in (("bob", "turn-1"), ("ann", "turn-2")):
        with pytest.raises(NotFound):
            await asked.feedback.withdraw(user, turn, tell)
    assert await events(asked) == []
    assert await asked.feedback.withdraw("ann", "turn-1", tell) == UP
    assert (await asked.feedback.find("turn-1"), len(await events(asked))) == (None, 1)
    assert ask(url, "SELECT * FROM feedback") == []


async def test_without_its_event_nothing_is_kept(asked):
    def break_off(said, commitment):
        del said, commitment
        raise DatabaseError("no event")

    with pytest.raises(DatabaseError):
        await asked.feedback.give("ann", UP, break_off)
    assert await asked.feedback.find("turn-1") is None


async def test_ratings_are_counted_by_model_in_a_span(asked):
    for number, (rating, model) in enumerate((("up", "a"), ("up", "a"), ("down", "a"), ("down", None))):
        said = structs.replace(
            UP, turn_id=f"t{number}", rating=rating, model=model, given_at=NOW + number, comment=None
        )
        await asked.feedback.give("ann", said, None)
    counted = await asked.feedback.count(None, None)
    assert {(each.model, each.rating): each.count for each in counted} == {
        ("a", "up"): 2,
        ("a", "down"): 1,
        (None, "down"): 1,
    }
    assert list(await asked.feedback.count(NOW + 1, NOW + 2)) == [Given("a", "up", 1)]


async def test_it_goes_with_the_person_and_nobody_reads_the_comment_again(asked, url):
    await asked.feedback.give("ann", UP, None)
    (key,) = ask(url, "SELECT comment FROM feedback")
    await asked.feedback.give("bob", structs.replace(UP, turn_id="turn-2"), None)

    def told(done):
        counts = structs.asdict(done)
        return erasure.erased(DOER, counts.pop("subject_id"), **counts)

    await asked.erasures.erase("ann", told, NOW + 1)
    assert ask(url, "SELECT user_id FROM feedback") == [{"user_id": "bob"}]
    insert = (
        "INSERT INTO feedback (turn_id, user_id, rating, comment, given_at) VALUES ({}, 'ann', 'up', {}, 1)"
    )
    await asked._engine.run_querystring(QueryString(insert, "turn-1", bytes(key["comment"])))
    assert (await asked.feedback.find("turn-1")).comment is None


async def test_it_goes_with_its_turn_when_that_is_old(asked, url):
    await asked.audit.append([Row(id="turn-2", actor_id="bob", created_at=NOW + 10)])
    for turn in ("turn-1", "turn-2"):
        await asked.feedback.give("ann", structs.replace(UP, turn_id=turn), None)
    ask(url, f"INSERT INTO audit_checkpoint (size, created_at, note) VALUES (2, {NOW}, 'x')")  # noqa: S608
    assert await asked.retention.remove(NOW, lambda spans: retention.removed(DOER, NOW, spans)) == 1
    assert ask(url, "SELECT turn_id FROM feedback") == [{"turn_id": "turn-2"}]
