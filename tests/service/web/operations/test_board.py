"""The board over a log: what is read, how often, what is told of whom, and how one that is away shows."""

import pytest

from config.settings import Budgets, Limits
from service.errors import DatabaseError
from service.store.database import open_database
from service.web.health import Dependency
from service.web.operations import Board, Standing
from service.web.operations.lens import Lens
from service.web.operations.period import FRAMES, Period
from service.web.operations.routes import as_it_is
from service.web.operations.views import AuditState, FiringAlert, ProcessState
from tests.service.store.rows import Row

MINUTE = 60_000_000
NOW = 1_800_000_000_000_000
LIMIT = '{"rateLimit":{"decision":"allowed","policy":"role","limit":10,"remaining":4}}'
AUDIT = AuditState(
    enabled=True,
    rows=1,
    quarantined=0,
    checkpoint=None,
    waiting=0,
    oldest=None,
    balance=0,
    fault="",
    verified=None,
    valid=None,
)


def row(name, ago, **given):
    given = {"response_time_ms": 0, "metadata": LIMIT, "cost_micros": 500_000} | given
    return Row(id=name, entity_id=name, created_at=NOW - ago * MINUTE, **given)


class Watched:
    """A pulse that may be away, and remembers what it was asked."""

    def __init__(self, pulse):
        self._pulse, self.read, self.away = pulse, [], False

    def __getattr__(self, name):
        return getattr(self._pulse, name)

    def within(self, tenant):
        self._pulse = self._pulse.within(tenant)
        return self

    async def head(self):
        if self.away:
            raise DatabaseError("The database does not answer.")
        return await self._pulse.head()

    async def stretch(self, start, end, step):
        self.read.append((start, end))
        return await self._pulse.stretch(start, end, step)


@pytest.fixture
async def database(tmp_path):
    opened = await open_database(f"sqlite:///{tmp_path}/parley.db")
    yield opened
    await opened.close()


class House:
    """A board over a database, with a clock to be set and everything else as it is told."""

    def __init__(self, database, limits=None):
        self.now, self.pulse, self.database = NOW, Watched(database.pulse), database
        self.audit, self.checkpoint, self.alerts, self.status = AUDIT, None, [], "up"
        standing = Standing(
            pulse=self.pulse,
            checks={"database": self.check},
            limits=lambda: limits or Limits(),
            audit=self.audited,
            process=lambda: ProcessState(number=1, running=0, queues={}),
            alerts=self.fired,
        )
        self.board = Board(standing, lambda: self.now)

    async def check(self):
        return Dependency(self.status, "so it is")

    async def audited(self):
        return self.audit, self.checkpoint

    async def fired(self):
        return self.alerts

    async def report(self, period=Period.HOUR, named=as_it_is):
        return (await self.board.told(period, named, None)).report


async def test_what_is_new_is_read_once_and_nothing_while_nobody_looks(database):
    house = House(database)
    await database.audit.append([row("a", 30), row("b", 20)])
    assert (await house.report()).turns.total == 2
    await database.audit.append([row("c", 0)])
    assert house.pulse.read == [(0, 2)]
    house.now += 10_000_000
    assert (await house.report()).turns.total == 3
    assert house.pulse.read == [(0, 2), (2, 3)]
    house.now += 10_000_000
    assert (await house.report()).turns.total == 3
    assert house.pulse.read == [(0, 2), (2, 3)]


async def test_all_who_look_within_seconds_share_one_snapshot(database):
    house = House(database)
    told = [await house.board.told(Period.HOUR, as_it_is, None) for _ in range(10)]
    assert house.board.made == 1
    assert all(each is told[0] for each in told)
    house.now += FRAMES[Period.HOUR].again * 1_000_000
    await house.report()
    assert house.board.made == 2


async def test_the_tag_stays_while_only_time_goes_by(database):
    house = House(database)
    first = await house.board.told(Period.HOUR, as_it_is, None)
    house.now += 11_000_000
    again = await house.board.told(Period.HOUR, as_it_is, None)
    assert (first.tag, first.body == again.body) == (again.tag, False)
    await database.audit.append([row("a", 0)])
    house.now += 11_000_000
    assert (await house.board.told(Period.HOUR, as_it_is, None)).tag != first.tag


async def test_what_is_too_old_is_not_told(database):
    house = House(database)
    await database.audit.append([row("a", 61), row("b", 58)])
    assert (await house.report()).turns.total == 1
    assert (await house.report(Period.DAY)).turns.total == 2
    house.now += 5 * MINUTE
    assert (await house.report()).turns.total == 0


async def test_the_past_is_read_backwards_a_stretch_at_a_look_until_it_is_whole(database):
    await database.audit.append([row(str(at), 30 - at) for at in range(7)])
    seconds = iter(range(1_000))
    pulse = Watched(database.pulse)
    lens = Lens(pulse, FRAMES[Period.HOUR], lambda: next(seconds) / 3, stretch=2)
    await lens.look(NOW)
    assert (pulse.read, lens.complete) == ([(5, 7)], False)
    while not lens.complete:
        await lens.look(NOW)
    assert sorted(pulse.read) == [(0, 1), (1, 3), (3, 5), (5, 7)]
    assert lens.whole


async def test_who_may_not_see_names_sees_what_stands_for_them(database):
    house = House(database, Limits(budgets=Budgets(user_day=1)))
    await database.audit.append([row("a", 1, actor_id="ann")])
    named, unnamed = await house.report(), await house.report(named=lambda user: f"p-{user[:1]}")
    assert [each.key for each in named.cost.by_user] == ["ann"]
    assert [each.key for each in unnamed.cost.by_user] == ["p-a"]
    assert [each.user for each in unnamed.limits.near] == ["p-a"]
    assert named.limits.near[0].left == 0.4
    assert house.board.made == 1


async def test_while_the_database_is_away_the_numbers_of_before_are_told_as_such(database):
    house = House(database)
    await database.audit.append([row("a", 1)])
    await house.report()
    house.pulse.away, house.status = True, "degraded"
    house.now += 11_000_000
    report = await house.report()
    assert (report.turns.total, report.fault) == (1, "The database does not answer.")
    assert [item.words for item in report.status.items] == ["database is degraded: so it is"]


async def test_the_status_is_the_worst_first(database):
    house = House(database)
    assert (await house.report()).status.level == "well"
    house.alerts = [
        FiringAlert(
            name=severity, severity=severity, summary=f"A {severity}.", since="", runbook="", labels={}
        )
        for severity in ("info", "ticket", "page")
    ]
    house.checkpoint = NOW - 6 * MINUTE
    house.now += 11_000_000
    status = (await house.report()).status
    assert status.level == "bad"
    assert [item.words for item in status.items] == [
        "A page.",
        "A ticket.",
        "The newest checkpoint is over 5 minutes old.",
    ]


async def test_a_spike_is_told_with_its_time(database):
    house = House(database)
    failed = {"outcome": "failed", "code": "upstream_error"}
    await database.audit.append([row(f"{at}", 30, **failed) for at in range(12)])
    report = await house.report()
    (spike,) = report.errors.spikes
    assert (spike.name, spike.count, spike.until is None) == ("AgentServiceSpike", 12, False)
    assert report.status.level == "well"
    await database.audit.append([row(f"n{at}", 2, **failed) for at in range(40)])
    house.now += 11_000_000
    report = await house.report()
    assert [each.until is None for each in report.errors.spikes] == [False, True]
    assert report.status.level == "bad"
    assert report.status.items[0].words.startswith("AgentServiceSpike: 40 agent_service errors")
