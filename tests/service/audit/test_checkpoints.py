"""When checkpoints are made and who is told, over keepings of the test's own."""

import json
import logging

import pytest
from msgspec import Struct

from service.audit.checkpoints import Sealing
from service.audit.outlets import telling
from service.audit.signing import log_key
from service.errors import DatabaseError
from service.seal.checkpoint import Verifier, read
from service.seal.notes import checkpoints_in

NOW = 1_764_000_000_123_456
KEY = log_key(None, [b"s" * 32], "0" * 32)


class Kept(Struct, frozen=True):
    size: int
    at: int
    note: str
    begins_day: bool = False


class Keeping:
    """Makes a checkpoint whenever the log has grown, or on demand; is away as long as it is told."""

    def __init__(self):
        self.size, self.sealed, self.away, self.begins_day = 3, 0, False, False
        self.newest_at = None

    async def seal(self, sign, now, *, force=False):
        if self.away:
            raise DatabaseError("The database is away.")
        if self.size == self.sealed and not force:
            return None
        self.sealed, self.newest_at = self.size, now
        return Kept(self.size, now, sign(self.size, b"r" * 32, b"c" * 32, now), self.begins_day)

    async def covering(self, sign, now):
        new = await self.seal(sign, now)
        return new or Kept(self.size, now, "earlier"), new is not None


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def house(caplog):
    caplog.set_level(logging.INFO, logger="parley")
    keeping, clock, told = Keeping(), Clock(), []
    sealing = Sealing(keeping, KEY, [telling("file", told.append), telling("webhook", told.append)], clock)
    return sealing, keeping, clock, told


def lines(caplog, kind):
    found = (record.line for record in caplog.records if record.name == "parley")
    return [line for line in found if line.type == kind]


async def test_a_checkpoint_is_told_as_a_line_and_to_every_outlet(house, caplog):
    sealing, _, _, told = house
    assert await sealing.seal()
    assert not await sealing.seal()
    await sealing.close()
    (line,) = lines(caplog, "audit_checkpoint")
    found = read(line.fields["checkpoint"], [Verifier(KEY.public)])
    assert (line.level, found.size, line.fields["size"]) == (logging.INFO, 3, 3)
    assert line.fields["root"] == "cnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI="
    assert told[0] == told[1]
    assert json.loads(told[0]) == {
        "checkpoint": line.fields["checkpoint"],
        "size": 3,
        "time": "2025-11-24T16:00:00.123Z",
    }
    assert checkpoints_in(told[0].decode()) == [line.fields["checkpoint"]]


async def test_one_is_made_in_any_case_at_an_orderly_stop(house, caplog):
    sealing, *_ = house
    assert [await sealing.seal(), await sealing.seal(force=True)] == [True, True]
    assert len(lines(caplog, "audit_checkpoint")) == 2


async def test_a_new_covering_one_is_told_and_an_earlier_one_is_not(house, caplog):
    sealing, keeping, _, told = house
    assert (await sealing.covering()).size == 3
    assert (await sealing.covering()).note == "earlier"
    await sealing.close()
    assert len(lines(caplog, "audit_checkpoint")) == 1
    assert len(told) == 2
    keeping.away = True
    with pytest.raises(DatabaseError):
        await sealing.covering()


async def test_a_database_that_is_away_is_asked_again_and_said_once_a_minute(house, caplog):
    sealing, keeping, clock, _ = house
    keeping.away = True
    for _ in range(130):
        assert not await sealing.seal(force=True)
        clock.now += 1_000_000
    said = lines(caplog, "checkpoint_untold")
    assert [each.fields["outlet"] for each in said] == ["database"] * 2
    assert said[0].fields["error"] == "The database is away."
    keeping.away = False
    assert await sealing.seal()


async def test_its_age_is_that_of_the_newest_one_while_the_database_is_away_too(house):
    sealing, keeping, clock, _ = house
    assert sealing.age() is None
    await sealing.seal()
    keeping.away = True
    clock.now += 90_000_000
    await sealing.seal(force=True)
    assert sealing.age() == 90.0


async def test_whoever_makes_a_days_first_one_hears_of_it(house):
    sealing, keeping, *_ = house
    await sealing.seal()
    assert not sealing.new_day.is_set()
    keeping.begins_day = True
    await sealing.seal(force=True)
    assert sealing.new_day.is_set()
