"""Checkpoints in the database, on each engine."""

import asyncio

import pytest
from msgspec.structs import replace

from service.errors import DatabaseError
from service.seal.checkpoint import Checkpoint, Signer, Verifier, read
from service.seal.keys import derived
from service.seal.leaf import chain_hash
from service.seal.merkle import Frontier
from service.store.checkpoints import DAY, SECOND
from service.store.database import open_database
from tests.harness.sql import ask
from tests.service.store.rows import CREATED_AT as NOW
from tests.service.store.rows import batch_of

SIGNER = Signer(derived(b"s" * 32))


def sign(size, root, chain, at):
    return SIGNER.note(Checkpoint("log", size, root, at, chain))


def said(kept):
    return read(kept.note, [Verifier(SIGNER.public)])


@pytest.fixture
async def database(database_url):
    opened = await open_database(database_url)
    yield opened
    await opened.close()


async def all_of(database):
    return [kept async for page in database.checkpoints.pages(size=2) for kept in page]


async def test_a_checkpoint_says_what_the_log_is(database, database_url):
    await database.audit.append(batch_of("a", 300))
    kept = await database.checkpoints.seal(sign, NOW)
    leaves = [
        bytes(row["leaf_hash"])
        for row in ask(database_url, "SELECT leaf_hash FROM audit_event ORDER BY log_index")
    ]
    expected, chain = Frontier(), bytes(32)
    expected.extend(leaves)
    for leaf in leaves:
        chain = chain_hash(chain, leaf)
    found = said(kept)
    assert (found.size, found.root, found.chain) == (300, expected.root(), chain)
    assert (kept.size, kept.at, found.time) == (300, NOW, NOW // 1000 * 1000)
    assert await database.checkpoints.latest() == replace(kept, begins_day=False)


async def test_an_empty_log_and_an_empty_period_are_proven_too(database):
    made = [
        await database.checkpoints.seal(sign, NOW + seconds * SECOND) for seconds in (0, 1, 59, 60, 61, 120)
    ]
    assert [kept and (kept.size, kept.at - NOW) for kept in made] == [
        (0, 0), None, None, (0, 60 * SECOND), None, (0, 120 * SECOND),
    ]  # fmt: skip


async def test_so_many_rows_are_enough(database):
    await database.checkpoints.seal(sign, NOW)
    await database.audit.append(batch_of("a", 9))
    assert await database.checkpoints.seal(sign, NOW, every_rows=10) is None
    await database.audit.append(batch_of("b", 1))
    assert said(await database.checkpoints.seal(sign, NOW, every_rows=10)).size == 10
    assert await database.checkpoints.seal(sign, NOW, every_rows=10) is None


async def test_a_forced_one_is_made_once_a_second_where_nothing_is_new(database):
    assert await database.checkpoints.seal(sign, NOW, force=True) is None  # there is nothing to prove yet
    assert (await database.checkpoints.seal(sign, NOW)).size == 0
    made = [await database.checkpoints.seal(sign, NOW + SECOND, force=True) for _ in range(2)]
    assert [bool(each) for each in made] == [True, False]
    await database.audit.append(batch_of("a", 1))
    assert (await database.checkpoints.seal(sign, NOW, force=True)).size == 1
    assert (await database.checkpoints.seal(sign, NOW + SECOND, force=True)).size == 1


async def test_a_clock_that_was_set_back_stops_nothing(database):
    await database.checkpoints.seal(sign, NOW + 3_600 * SECOND)
    assert await database.checkpoints.seal(sign, NOW) is None
    await database.audit.append(batch_of("a", 1))
    assert (await database.checkpoints.seal(sign, NOW)).size == 1


async def test_several_processes_make_one_for_a_period(database_url):
    several = [await open_database(database_url) for _ in range(4)]
    try:
        await several[0].audit.append(batch_of("a", 5))
        made = await asyncio.gather(
            *(each.checkpoints.seal(sign, NOW + at) for at, each in enumerate(several))
        )
        assert sum(kept is not None for kept in made) == 1
        covering = await asyncio.gather(*(each.checkpoints.covering(sign, NOW) for each in several))
        assert {(kept.size, new) for kept, new in covering} == {(5, False)}
        await several[1].audit.append(batch_of("b", 5))
        covering = await asyncio.gather(*(each.checkpoints.covering(sign, NOW) for each in several))
        assert {kept.size for kept, _ in covering} == {10}
        assert sum(new for _, new in covering) == 1
        assert [kept.size for kept in await all_of(several[0])] == [5, 10]
    finally:
        for each in several:
            await each.close()


async def test_pages_go_over_all_in_order(database):
    for number in range(5):
        await database.audit.append(batch_of(f"{number}", number % 2))
        await database.checkpoints.seal(sign, NOW + number * SECOND, force=True)
    assert [(kept.size, (kept.at - NOW) // SECOND) for kept in await all_of(database)] == [
        (1, 1), (1, 2), (2, 3), (2, 4),
    ]  # fmt: skip


async def test_a_log_shorter_than_its_checkpoint_is_not_signed(database, database_url):
    await database.audit.append(batch_of("a", 3))
    await database.checkpoints.seal(sign, NOW)
    for trigger in ("audit_event_kept",):
        ask(
            database_url,
            f"DROP TRIGGER {trigger}" + (" ON audit_event" if "postgres" in database_url else ""),
        )
    ask(database_url, "DELETE FROM audit_event WHERE log_index = 2")
    for force in (False, True):
        with pytest.raises(DatabaseError, match="does not fit together"):
            await database.checkpoints.seal(sign, NOW + 1, force=force)
    with pytest.raises(DatabaseError, match="does not fit together"):
        await database.checkpoints.covering(sign, NOW + 1)
    assert [kept.size for kept in await all_of(database)] == [3]


async def test_the_first_of_a_day_is_told_to_its_maker_alone(database, database_url):
    midnight = NOW - NOW % DAY
    await database.audit.append(batch_of("a", 1))
    other = await open_database(database_url)
    at = (midnight - SECOND, midnight, midnight + SECOND, midnight + DAY)
    made = [
        await each.checkpoints.seal(sign, now, force=True)
        for each, now in zip((database, other, database, database), at, strict=True)
    ]
    await other.close()
    assert [kept.begins_day for kept in made] == [True, True, False, True]
    assert not (await database.checkpoints.latest()).begins_day


async def test_when_the_newest_was_made_is_known_once_it_was_looked_for(database, database_url):
    assert database.checkpoints.newest_at is None
    other = await open_database(database_url)
    await other.checkpoints.seal(sign, NOW)
    assert (other.checkpoints.newest_at, database.checkpoints.newest_at) == (NOW, None)
    await database.checkpoints.seal(sign, NOW + SECOND)
    assert database.checkpoints.newest_at == NOW
    await other.close()
