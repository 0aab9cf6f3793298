"""The purse over a real ledger: many at once, a database that is away, and what was put aside beforehand."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from msgspec import structs

from config.settings import Budgets
from service.errors import BudgetUnavailable
from service.limits.budget import BudgetStanding, Granted, Purse
from service.limits.budget import teller as telling
from service.limits.budget.ledger import want_of
from service.store.database import open_database
from tests.harness.records import CALLER
from tests.service.limits.budget.slow import Faulty, wait_for
from tests.service.store.budgets.wants import NOON, accounts, event, reservations

CENT = 10_000
"""Micro-dollars."""
USER = ("user", "user-1", "2026-11-26")
MINUTE_MS = 60_000


@pytest.fixture
async def database(database_url):
    opened = await open_database(database_url)
    yield opened
    await opened.close()


@asynccontextmanager
async def purse_of(ledger, budgets=None, **more):
    given = budgets or Budgets(user_day=100 * CENT)
    purse = Purse(ledger, lambda: given, "writer-1", MINUTE_MS, lambda: NOON, **more)
    await purse.start()
    try:
        yield purse
    finally:
        ledger.open.set()
        ledger.away = False
        await purse.stop()


@pytest.fixture
def ledger(database):
    return Faulty(database.budgets)


@pytest.fixture
async def purse(ledger):
    async with purse_of(ledger) as made:
        yield made


async def reserve(purse, lease, micros=CENT, caller=CALLER, **more):
    return await purse.reserve(caller, lease, micros, NOON, **more)


def settled(purse):
    """Whether nothing waits to be told."""
    return not purse._teller._returns and not purse._teller._charges


async def granted(purse, number, micros=CENT, **more):
    found = await asyncio.gather(*(reserve(purse, f"t{n}", micros, **more) for n in range(number)))
    return [each for each in found if isinstance(each, Granted)]


async def test_a_thousand_at_once_are_a_few_transactions_and_not_one_too_many(purse, ledger, database_url):
    given = await granted(purse, 1_000, 10 * CENT)
    assert len(given) == 10
    assert len(ledger.transactions) <= 30
    assert accounts(database_url)[USER] == (0, 100 * CENT)


async def test_a_refusal_names_the_budget_that_lasts_longest(ledger):
    budgets = Budgets(user_day=CENT, role_month=CENT, total_day=10 * CENT)
    async with purse_of(ledger, budgets) as purse:
        refused = await reserve(purse, "a", 2 * CENT)
    assert refused == BudgetStanding(name="role_month", limit=CENT, spent=0, reserved=0, reset_ms=388_800_000)


async def test_what_a_turn_did_not_cost_is_had_by_the_next(purse):
    first = await reserve(purse, "a", 100 * CENT)
    assert isinstance(await reserve(purse, "b", CENT), BudgetStanding)
    purse.close(first.reserved, 99 * CENT)
    assert isinstance(await reserve(purse, "c", CENT), Granted)


async def test_to_the_last_cent_nobody_is_refused(purse):
    refused = 0
    for n in range(100):
        given = await reserve(purse, f"t{n}", CENT)
        if isinstance(given, BudgetStanding):
            refused += 1
        else:
            purse.close(given.reserved, CENT)
    assert refused == 0
    assert isinstance(await reserve(purse, "more", 1), BudgetStanding)


async def test_a_turn_that_was_never_asked_costs_nothing(purse, database_url):
    given = await reserve(purse, "a")
    purse.release(given.reserved)
    await wait_for(lambda: settled(purse))
    assert reservations(database_url).keys() == {purse_chunk(purse)}


def purse_chunk(purse):
    (place,) = purse._chunks._places.values()
    return place.chunk.id


async def test_by_force_it_says_what_was_passed(purse):
    given = await reserve(purse, "a", 101 * CENT, force=True)
    assert (given.reserved.micros, given.over.name, given.over.reserved) == (
        *(101 * CENT, "user_day", 101 * CENT),
    )
    assert (await reserve(purse, "b", 1, force=True)).over.name == "user_day"


async def test_less_is_put_aside_where_less_will_do(purse):
    assert (await reserve(purse, "a", 99 * CENT)).reserved.micros == 99 * CENT
    assert (await reserve(purse, "b", 5 * CENT, least=CENT)).reserved.micros == CENT


async def test_standings(purse, ledger):
    await reserve(purse, "a", 3 * CENT)
    await purse._teller.ask(structs.replace(some_want(purse), lease="x", micros=0, least=0))
    (told,) = await purse.standings(CALLER, NOON)
    assert (told.name, told.limit, told.spent, told.reset_ms) == ("user_day", 100 * CENT, 0, 43_200_000)
    ledger.open.clear()
    with pytest.raises(BudgetUnavailable):
        await purse.standings(CALLER, NOON)


def some_want(purse):
    return want_of(CALLER, "w", purse._limits(), NOON, NOON + 1)


async def test_budgets_may_change_while_it_runs(ledger):
    held = [Budgets()]
    purse = Purse(ledger, lambda: held[0], "writer-1", MINUTE_MS, lambda: NOON)
    await purse.start()
    assert not purse.has_budget(CALLER)
    assert await purse.standings(CALLER, NOON) == ()
    held[0] = Budgets(total_day=CENT)
    assert purse.has_budget(CALLER)
    assert isinstance(await reserve(purse, "a", 2 * CENT), BudgetStanding)
    await purse.stop()


async def leased(purse):
    """A turn that came and went, and the chunk that is leased for who comes after it."""
    given = await reserve(purse, "first", CENT)
    purse.release(given.reserved)
    await wait_for(lambda: any(place.chunk for place in purse._chunks._places.values()) and settled(purse))


async def test_while_it_is_away_the_chunk_is_spent_then_nobody_is_let_in(
    purse, ledger, database, database_url
):
    await leased(purse)
    chunk, ledger.away = purse_chunk(purse), True
    small = CENT // 4
    given = [await reserve(purse, "a", small), await reserve(purse, "b", small)]
    assert [each.reserved.lease for each in given] == [chunk, chunk]
    assert purse.away
    with pytest.raises(BudgetUnavailable) as told:
        await reserve(purse, "c", CENT)
    assert told.value.retry_after_ms == 1_000
    purse.close(given[0].reserved, CENT // 8)
    assert (await reserve(purse, "d", small + CENT // 8)).reserved.lease == chunk
    with pytest.raises(BudgetUnavailable):
        await reserve(purse, "e", CENT // 2)
    ledger.away = False
    await wait_for(lambda: not purse.away)
    await database.audit.append(
        [
            event("a", CENT // 8, lease=chunk, actor_id="user-1"),
            event("b", small, lease=chunk, actor_id="user-1"),
        ]
    )
    spent, reserved = accounts(database_url)[USER]
    assert spent == small + CENT // 8
    assert spent + reserved == sum(amount for amount, _ in reservations(database_url).values()) + spent
    assert await database.budgets.differences(NOON) == ()


async def test_a_frozen_ledger_is_waited_for_once_not_by_everybody(purse, ledger):
    await leased(purse)
    ledger.open.clear()
    loop = asyncio.get_running_loop()
    began = loop.time()
    outcomes = await asyncio.gather(
        *(reserve(purse, f"t{n}", CENT) for n in range(50)), return_exceptions=True
    )
    assert sum(isinstance(each, Granted) for each in outcomes) == 1  # the chunk
    assert sum(isinstance(each, BudgetUnavailable) for each in outcomes) == 49
    assert loop.time() - began >= 0.9
    sent = len(ledger.transactions)
    with pytest.raises(BudgetUnavailable):
        await reserve(purse, "late", CENT)
    assert len(ledger.transactions) == sent


async def test_what_a_frozen_ledger_did_after_all_is_given_back(purse, ledger, database_url):
    ledger.open.clear()
    with pytest.raises(BudgetUnavailable):
        await reserve(purse, "a", CENT)
    ledger.open.set()
    await wait_for(lambda: not purse.away and settled(purse))
    assert "a" not in reservations(database_url)
    assert accounts(database_url)[USER] == (0, 0)


async def test_what_a_lost_answer_put_aside_is_given_back(purse, ledger, database_url):
    ledger.unsaid = True
    with pytest.raises(BudgetUnavailable):
        await reserve(purse, "a", CENT)
    ledger.unsaid = False
    await wait_for(lambda: not purse.away and settled(purse))
    assert accounts(database_url)[USER] == (0, 0)


async def test_who_goes_away_meanwhile_leaves_nothing_put_aside(purse, ledger, database_url):
    ledger.open.clear()
    asking = [asyncio.create_task(reserve(purse, f"t{n}", CENT)) for n in range(20)]
    await asyncio.sleep(0.01)
    late = [asyncio.create_task(reserve(purse, f"u{n}", CENT)) for n in range(20)]
    await asyncio.sleep(0.01)
    for each in (*asking, *late):
        each.cancel()
    await asyncio.gather(*asking, *late, return_exceptions=True)
    ledger.open.set()
    await wait_for(lambda: settled(purse))
    await reserve(purse, "last", CENT)
    assert accounts(database_url)[USER][1] <= 2 * CENT
    assert not any(lease.startswith(("t", "u")) for lease in reservations(database_url))


async def test_what_is_told_while_it_is_away_is_told_later(purse, ledger, database_url):
    given = await reserve(purse, "a", 100 * CENT)
    ledger.away = True
    purse.close(given.reserved, 30 * CENT)
    await wait_for(lambda: purse.away)
    ledger.away = False
    await wait_for(lambda: settled(purse))
    assert reservations(database_url)["a"] == (30 * CENT, "held")


async def test_a_chunk_is_given_back_where_somebody_falls_short(purse, database_url):
    await leased(purse)
    assert purse_chunk(purse) in reservations(database_url)
    assert isinstance(await reserve(purse, "all", 100 * CENT), Granted)
    assert reservations(database_url).keys() == {"all"}


async def test_a_chunk_is_at_most_a_hundredth_and_at_least_one_worst_case(purse, database_url):
    await leased(purse)
    assert reservations(database_url)[purse_chunk(purse)] == (CENT, "held")
    other = structs.replace(CALLER, user_id="user-2")
    purse.release((await reserve(purse, "x", CENT + 1, other)).reserved)
    await wait_for(lambda: settled(purse))
    assert len(reservations(database_url)) == 1


async def test_all_chunks_of_a_process_are_a_hundredth_of_what_they_share(ledger, database_url):
    budgets = Budgets(user_day=1_000 * CENT, total_day=1_000 * CENT)
    async with purse_of(ledger, budgets) as purse:
        for n in range(30):
            caller = structs.replace(CALLER, user_id=f"user-{n}")
            purse.release((await reserve(purse, f"t{n}", CENT, caller)).reserved)
        await wait_for(lambda: settled(purse) and not purse._teller._later)
        assert accounts(database_url)[("total", "", "2026-11-26")][1] <= 10 * CENT


async def test_a_chunk_that_nobody_needs_goes_back(purse, database_url):
    await leased(purse)
    purse._chunks.tidy()
    assert settled(purse)
    later = purse._chunks._monotonic() + 301
    purse._chunks._monotonic = lambda: later
    purse._chunks.tidy()
    await wait_for(lambda: settled(purse))
    assert reservations(database_url) == {}


async def test_stopping_gives_back_what_was_put_aside_beforehand(ledger, database_url):
    async with purse_of(ledger) as purse:
        await leased(purse)
    assert reservations(database_url) == {}
    assert accounts(database_url)[USER] == (0, 0)


async def test_a_chunk_counts_for_its_own_day_only(purse, ledger):
    await leased(purse)
    ledger.away = True
    with pytest.raises(BudgetUnavailable):
        await purse.reserve(CALLER, "a", 1, NOON + 43_200_000_000)
    assert isinstance(await reserve(purse, "b", 1), Granted)


async def test_observing_refuses_nobody_while_it_is_away(purse, ledger):
    ledger.away = True
    assert (await reserve(purse, "a", CENT, force=True)).reserved.lease == "a"


async def test_without_an_audit_the_end_of_a_turn_is_told_to_the_ledger(ledger, database_url):
    async with purse_of(ledger, audited=False) as purse:
        given = await reserve(purse, "a", 10 * CENT)
        purse.close(given.reserved, 3 * CENT)
        released = await reserve(purse, "b", 10 * CENT)
        purse.release(released.reserved)
    assert (accounts(database_url)[USER], reservations(database_url)) == ((3 * CENT, 0), {})


async def test_what_is_spent_of_a_budget_is_one_line_for_each_threshold(purse, database, caplog):
    caplog.set_level("WARNING", "parley")
    for n in range(11):
        await reserve(purse, f"t{n}", 10 * CENT)
        await database.audit.append([event(f"t{n}", 9 * CENT, actor_id="user-1")])
    lines = [record.line for record in caplog.records if record.msg == "budget_threshold"]
    assert [each.fields["percent"] for each in lines] == [50, 80]
    assert isinstance(await reserve(purse, "last", 10 * CENT), BudgetStanding)
    (line,) = [record.line for record in caplog.records if record.msg == "budget_threshold"][2:]
    assert line.fields == {
        "budget": "user_day",
        "scope": "user",
        "subject": "pseudonym-1",
        "percent": 100,
        "spent": 0.99,
        "reserved": 0.0,
        "limit": 1.0,
    }


async def test_how_far_budgets_are_used(ledger, database):
    budgets = Budgets(user_day=100 * CENT, total_day=1_000 * CENT)
    async with purse_of(ledger, budgets) as purse:
        for turn, user, cost in (("a", "user-1", 10), ("b", "user-2", 40)):
            caller = structs.replace(CALLER, user_id=user)
            await reserve(purse, turn, 50 * CENT, caller)
            await database.audit.append([event(turn, cost * CENT, actor_id=user)])
            await reserve(purse, f"after-{turn}", CENT, caller)
        assert purse.meters.used() == {"user_day": 0.4, "total_day": 0.05}


async def test_the_drift_is_looked_at_from_the_start(ledger, database):
    await database.budgets.work("w", NOON, [some_want_of()])
    await database._engine.run_ddl("UPDATE budget_ledger SET spent = 7")
    async with purse_of(ledger) as purse:
        await wait_for(lambda: purse.meters.drift == 7)


def some_want_of():
    return want_of(CALLER, "w", {"user_day": CENT}, NOON, NOON + 1)


def test_a_second_of_silence_is_counted_in_slices():
    assert telling.SLICES * telling.SLICE_SECONDS == 1.0


class Halting(Faulty):
    """Stands still once somebody was told of a part of what they wanted."""

    async def work(self, writer, now, wants, returns, charges):
        answers = await super().work(writer, now, wants, returns, charges)
        if any(each.lease == "most" for each in wants):
            self.open.clear()
        return answers


async def test_who_goes_away_between_a_part_and_the_whole_leaves_nothing_put_aside(database, database_url):
    ledger = Halting(database.budgets)
    async with purse_of(ledger) as purse:
        await leased(purse)
        sent = len(ledger.transactions)
        ledger.open.clear()
        most = asyncio.create_task(reserve(purse, "most", 100 * CENT, least=50 * CENT))
        await wait_for(lambda: len(ledger.transactions) > sent)
        other = asyncio.create_task(reserve(purse, "other", 1))
        await wait_for(lambda: purse._teller._asks)
        ledger.open.set()
        await wait_for(lambda: [each.want.lease for each in purse._teller._asks] == ["most"])
        most.cancel()
        await asyncio.wait((most,))
        ledger.open.set()
        await asyncio.wait((other,))
        await wait_for(lambda: not purse.away and settled(purse))
        assert "most" not in reservations(database_url)
