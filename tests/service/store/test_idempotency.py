"""Idempotency keys in the database: one turn has a key, whoever else wants it, until it is let go."""

import asyncio

import pytest
from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.store.database import open_database
from service.store.idempotency import SWEEP, Claimed

UNTIL = 1_000


async def claim(database, turn="turn-1", key="k", user="ann", now=0, until=UNTIL, body="digest"):
    return await database.idempotency.claim(user, key, body_digest=body, turn_id=turn, now=now, until=until)


async def keep(database, turn="turn-1", key="k", answer="{}", now=0, until=UNTIL):
    await database.idempotency.keep("ann", key, turn_id=turn, answer=answer, now=now, until=until)


async def rows(database):
    return await database._engine.run_querystring(QueryString("SELECT * FROM idempotency_claim"))


async def test_a_free_key_is_the_first_turns(database):
    assert await database.idempotency.find("ann", "k", 0) is None
    assert await claim(database) is None
    standing = Claimed(body_digest="digest", turn_id="turn-1")
    assert await claim(database, "turn-2", body="other") == standing
    assert await database.idempotency.find("ann", "k", 0) == standing


@pytest.mark.parametrize(
    ("user", "key"), [("bob", "k"), ("ann", "K"), ("ann", "k "), ("annk", ""), ("an", "nk")]
)
async def test_keys_are_a_users_own_and_exact(database, user, key):
    await claim(database)
    assert await database.idempotency.find(user, key, 0) is None
    assert await claim(database, "turn-2", key=key, user=user) is None


async def test_the_key_itself_is_not_kept(database):
    await claim(database, key="my secret key")
    assert "my secret key" not in str(await rows(database))


async def test_a_kept_answer_stands_for_the_key(database):
    await claim(database)
    await keep(database, answer='{"a":"ü\\u0000"}', until=5_000)
    kept = Claimed(body_digest="digest", turn_id="turn-1", answer='{"a":"ü\\u0000"}')
    assert await database.idempotency.find("ann", "k", 4_999) == kept
    assert await claim(database, "turn-2", now=4_999) == kept


async def test_a_released_key_is_free(database):
    await claim(database)
    await database.idempotency.release("ann", "k", "turn-1")
    assert await rows(database) == []
    assert await claim(database, "turn-2") is None


async def test_only_the_turn_that_has_it_lets_it_go(database):
    await claim(database)
    await database.idempotency.release("ann", "k", "turn-2")
    await database.idempotency.release("bob", "k", "turn-1")
    await keep(database, "turn-2", answer="theirs")
    assert await database.idempotency.find("ann", "k", 0) == Claimed(body_digest="digest", turn_id="turn-1")


async def test_a_kept_answer_is_not_released(database):
    await claim(database)
    await keep(database)
    await database.idempotency.release("ann", "k", "turn-1")
    assert (await database.idempotency.find("ann", "k", 0)).answer == "{}"


@pytest.mark.parametrize("answered", [True, False])
async def test_an_expired_one_is_taken_over_and_its_turn_has_no_say_any_more(database, answered):
    await claim(database)
    if answered:
        await keep(database)
    assert await database.idempotency.find("ann", "k", UNTIL) is None
    assert await claim(database, "turn-2", now=UNTIL - 1) is not None
    assert await claim(database, "turn-2", now=UNTIL, until=2 * UNTIL, body="other") is None
    await keep(database, "turn-1", answer="late")
    await database.idempotency.release("ann", "k", "turn-1")
    assert await claim(database, "turn-3", now=UNTIL) == Claimed(body_digest="other", turn_id="turn-2")


async def test_expired_ones_are_removed_in_passing_but_not_all_at_once(database):
    for number in range(SWEEP + 5):
        await claim(database, f"old-{number}", key=f"old-{number}", until=1)
    await claim(database, now=2)
    await keep(database, now=2)
    assert len(await rows(database)) == 6
    await keep(database, now=2)
    assert [row["turn_id"] for row in await rows(database)] == ["turn-1"]


async def test_of_many_in_two_processes_one_has_it(database, url):
    other = await open_database(url)
    doors = [database, other] * 20
    found = await asyncio.gather(*(claim(door, f"turn-{number}") for number, door in enumerate(doors)))
    (winner,) = (number for number, standing in enumerate(found) if standing is None)
    assert {standing.turn_id for standing in found if standing} == {f"turn-{winner}"}
    await other.close()


async def test_many_that_fail_in_turn_all_get_it(database):
    async def fail(number):
        while await claim(database, f"turn-{number}"):
            pass
        await database.idempotency.release("ann", "k", f"turn-{number}")
        return number

    assert sorted(await asyncio.gather(*map(fail, range(10)))) == list(range(10))
    assert await rows(database) == []


async def test_after_the_close_everything_is_an_error(url):
    database = await open_database(url)
    await database.close()
    with pytest.raises(DatabaseError):
        await claim(database)
    with pytest.raises(DatabaseError):
        await database.idempotency.find("ann", "k", 0)
