import asyncio
import sqlite3
import threading

import pytest

from service.errors import DatabaseError
from service.store.sqlite import glance
from service.store.sqlite.engine import READER_PRAGMAS
from service.store.sqlite.glance import Glance

FIND = "SELECT text FROM note WHERE text = {}"
LOOK = "SELECT text FROM note WHERE text = ?"


class Counting(Glance):
    """Counts the looks that were told, and knows the threads that read."""

    def __init__(self, *given):
        super().__init__(*given)
        self.told, self.warmed = 0, []

    def look(self, sql, arguments):
        found = super().look(sql, arguments)
        self.told += found is not None
        return found

    def warm(self, sql, arguments):
        self.warmed.append(threading.get_ident())
        super().warm(sql, arguments)


class Clock:
    """Seconds that pass when they are told to; each look at it takes `each`."""

    def __init__(self):
        self.now, self.each = 100.0, 0.0

    def __call__(self):
        self.now += self.each
        return self.now


@pytest.fixture
async def noted(engine, path):
    """An engine whose file is at hand, and has one note: a."""
    engine._glance = Counting(path, READER_PRAGMAS)
    await engine.run("INSERT INTO note (text) VALUES ({})", "a")
    await engine.look_up(FIND, "a")
    await engine.look_up(FIND, "a")
    assert (engine._glance.told, len(engine._glance.warmed)) == (0, 1), "both found it by the reader"
    return engine


async def test_the_first_look_is_another_thread_s_and_the_next_this_one_s(noted):
    assert await noted.look_up(FIND, "a") == [{"text": "a"}]
    assert await noted.look_up(FIND, "b") == []
    assert noted._glance.told == 2
    assert threading.get_ident() not in noted._glance.warmed


async def test_a_look_sees_what_any_process_wrote_before_it(noted, path):
    other = sqlite3.connect(path, isolation_level=None)
    for number in range(20):
        other.execute("UPDATE note SET text = ?", (f"by another {number}",))
        assert await noted.look_up(FIND, f"by another {number}")
        await noted.run("UPDATE note SET text = {}", f"by us {number}")
        assert await noted.look_up(FIND, f"by us {number}")
    other.close()
    assert noted._glance.told == 40


async def test_who_asks_the_same_in_one_round_of_the_loop_shares_a_look_and_the_next_round_looks_anew(noted):
    async def ask(text="a"):
        return await noted.look_up(FIND, text)

    assert await asyncio.gather(ask(), ask("b"), ask()) == [[{"text": "a"}], [], [{"text": "a"}]]
    assert noted._glance.told == 2
    await noted.run("DELETE FROM note")
    assert await asyncio.gather(ask(), ask()) == [[], []]
    assert noted._glance.told == 3
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert noted._round == {}, "nothing is kept"


async def test_what_nobody_can_tell_at_once_is_not_shared(noted):
    line = noted._glance._line
    noted._glance._line = None
    found = await asyncio.gather(*(noted.look_up(FIND, "a") for _ in range(3)))
    assert found == [[{"text": "a"}]] * 3
    assert noted._glance.told == 0
    line.connection.close()


async def test_a_look_inside_a_transaction_sees_what_that_wrote(noted):
    async with noted.transaction():
        await noted.run("INSERT INTO note (text) VALUES ({})", "b")
        assert await noted.look_up(FIND, "b")
    assert noted._glance.told == 0


async def test_a_write_that_is_under_way_keeps_no_look_waiting(noted, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("UPDATE note SET text = 'b'")
    assert await noted.look_up(FIND, "a")
    assert noted._glance.told == 1
    other.execute("ROLLBACK")
    other.close()


def test_a_file_that_is_locked_keeps_no_look_waiting(tmp_path):
    path = tmp_path / "locked.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE note (text TEXT)")
    look = Glance(path, ("query_only=1",))
    assert look.lend()
    look.warm(LOOK, ("a",))
    assert look.look(LOOK, ("a",)) == []
    other.execute("BEGIN EXCLUSIVE")
    assert look.look(LOOK, ("a",)) is None
    other.execute("ROLLBACK")
    assert look.look(LOOK, ("a",)) == []
    look.close()
    other.close()


async def test_a_file_that_was_replaced_is_not_looked_at(noted, path):
    away = path.with_suffix(".away")
    path.rename(away)
    with pytest.raises(DatabaseError, match="moved or replaced"):
        await noted.look_up(FIND, "a")
    path.write_bytes(away.read_bytes())
    with pytest.raises(DatabaseError, match="moved or replaced"):
        await noted.look_up(FIND, "a")
    assert noted._glance.told == 0


async def test_after_its_end_nothing_is_told(noted):
    await noted.close()
    with pytest.raises(DatabaseError, match="closed"):
        await noted.look_up(FIND, "a")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def looking(noted, path, clock):
    """A glance that is warm, on a clock of its own."""
    assert await noted.run(FIND, "a")
    made = Glance(path, READER_PRAGMAS, clock)
    assert made.look(LOOK, ("a",)) is None, "nothing is at hand yet"
    assert made.lend()
    made.warm(LOOK, ("a",))
    yield made
    made.close()


async def test_what_was_not_read_lately_is_left_to_another_thread(looking, clock):
    for _ in range(3):
        clock.now += glance.WARM - 1
        assert looking.look(LOOK, ("a",))
    assert not looking.lend(), "it is at hand"
    clock.now += glance.WARM + 1
    assert looking.look(LOOK, ("a",)) is None
    assert looking.lend()
    looking.warm(LOOK, ("a",))
    assert looking.look(LOOK, ("a",))


async def test_a_file_that_is_slow_is_left_alone_for_a_while(looking, clock):
    clock.each = 2 * glance.SLOW
    looks = 0
    while looking.look(LOOK, ("a",)):
        looks += 1
    assert 1 < looks < glance.SHARE, "one may have waited for the processor"
    clock.each = 0.0
    assert not looking.lend()
    clock.now += glance.REST
    assert looking.look(LOOK, ("a",))


async def test_a_file_that_hung_is_left_alone_at_once(looking, clock):
    clock.each = 1.0
    assert looking.look(LOOK, ("a",))
    clock.each = 0.0
    assert looking.look(LOOK, ("a",)) is None


async def test_while_another_thread_reads_nobody_looks(looking, clock):
    clock.now += glance.WARM + 1
    assert looking.lend()
    assert looking.look(LOOK, ("a",)) is None
    assert not looking.lend(), "one is enough"
    looking.warm(LOOK, ("a",))
    assert looking.look(LOOK, ("a",))


async def test_what_cannot_be_told_raises_nothing(looking, path, clock):
    assert looking.look("SELECT nothing FROM nowhere", ()) is None
    assert looking.look(LOOK, ("\ud800",)) is None
    clock.now += glance.WARM + 1
    assert looking.lend()
    looking.warm("SELECT nothing FROM nowhere", ())
    assert looking.look(LOOK, ("a",)) is None, "its line is gone"
    assert looking.lend()
    path.unlink()
    looking.warm(LOOK, ("a",))
    assert looking.look(LOOK, ("a",)) is None
