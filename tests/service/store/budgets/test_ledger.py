"""The ledger on both engines, step by step."""

import asyncio

import pytest

from service.audit.deed import Doer
from service.audit.deed import row_of as deed
from service.seal.vault import Vault
from service.store.database import open_database
from tests.harness.sql import ask
from tests.service.store.budgets.wants import (
    DAY,
    NOON,
    accounts,
    event,
    interrupted,
    reservations,
    want,
)

DOER = Doer(caller=None, request_id="r", trace_id=None, at=NOON, system_user="root")
KEYS = Vault(masters=(bytes(range(32)),))
ANN, MONTH = ("user", "ann", "2026-11-26"), ("total", "", "2026-11")


@pytest.fixture
async def database(url):
    opened = await open_database(url, KEYS)
    yield opened
    await opened.close()


async def work(database, *wants, now=NOON, **told):
    return await database.budgets.work("writer-1", now, wants, **told)


async def micros(database, *wants, **told):
    return [each.micros for each in await work(database, *wants, **told)]


async def exact(database):
    """Hold the ledger against the events."""
    assert await database.budgets.differences(NOON) == ()


async def test_money_is_put_aside_up_to_the_limit_and_no_further(database, url):
    assert await micros(database, *(want(f"t{n}", 300) for n in range(5))) == [300, 300, 300, None, None]
    assert accounts(url) == {ANN: (0, 900), MONTH: (0, 900)}
    assert reservations(url) == {f"t{n}": (300, "held") for n in range(3)}


async def test_the_last_cent_is_given(database):
    assert await micros(database, want("a", 999), want("b", 1), want("c", 1)) == [999, 1, None]


async def test_who_does_with_less_gets_what_is_left(database, url):
    assert await micros(database, want("a", 900), want("b", 300, least=100)) == [900, 100]
    assert await micros(database, want("c", 300, least=1)) == [None]
    assert accounts(url)[ANN] == (0, 1_000)


async def test_every_budget_must_have_room(database, url):
    limits = {"user_day": 10_000, "role_day": 500, "total_day": 10_000}
    assert await micros(database, want("a", 400, limits=limits), want("b", 400, limits=limits)) == [400, None]
    other = want("c", 400, role="GUEST", limits=limits)
    assert await micros(database, other) == [400]
    assert accounts(url)[("total", "", "2026-11-26")] == (0, 800)


async def test_it_says_how_each_budget_stands(database):
    answer, refused = await work(database, want("a", 700), want("b", 700))
    assert [(each.name, each.spent, each.reserved, each.limit) for each in answer.standings] == [
        ("user_day", 0, 700, 1_000),
        ("total_month", 0, 700, 5_000),
    ]
    assert refused.standings[0].reserved == 700
    assert [each.ends_at for each in answer.standings] == [20_784 * DAY, 20_788 * DAY]


async def test_what_is_spent_of_a_budget_is_told_once_for_each_threshold(database):
    told = []
    for n, cost in enumerate((499, 1, 250, 60, 189, 1)):
        (answer,) = await work(database, want(f"t{n}", 0))
        told.append(answer.standings[0].crossed)
        await database.audit.append([event(f"t{n}", cost)])
    assert told == [0, 0, 50, 0, 80, 0]
    (answer,) = await work(database, want("last", 0))
    assert [each.crossed for each in answer.standings] == [100, 0]
    assert (await work(database, want("again", 0)))[0].standings[0].crossed == 0


async def test_a_budget_of_which_nothing_can_be_had_is_told_to_be_used_up(database):
    await work(database, want("a", 950))
    refused = [(await work(database, want("b", 100)))[0].standings[0].crossed]
    await database.audit.append([event("a", 950)])
    refused += [(await work(database, want(name, 100)))[0].standings[0].crossed for name in ("c", "d")]
    assert refused == [0, 100, 0]


async def test_what_is_put_aside_is_not_told_as_spent(database):
    answer, refused = await work(database, want("a", 1_000), want("b", 1))
    assert answer.standings[0].crossed == refused.standings[0].crossed == 0


async def test_by_force_more_is_put_aside_than_there_is(database, url):
    answer, _ = await work(database, want("a", 2_000, force=True), want("b", 1))
    assert answer.micros == 2_000
    assert accounts(url)[ANN] == (0, 2_000)


async def test_what_is_given_back_can_be_had_by_others_in_the_same_step(database, url):
    await work(database, want("a", 1_000))
    assert await micros(database, want("b", 600), returns={"a": 600}) == [600]
    assert reservations(url) == {"a": (400, "held"), "b": (600, "held")}


async def test_giving_back_twice_is_giving_back_once(database, url):
    await work(database, want("a", 1_000))
    for _ in range(3):
        await work(database, returns={"a": 600})
    assert accounts(url)[ANN] == (0, 400)
    await work(database, returns={"a": 1_000, "never": 5})
    assert (accounts(url)[ANN], reservations(url)) == ((0, 0), {})


async def test_what_cost_more_than_was_put_aside_stands_as_it_is(database, url):
    await work(database, want("a", 100))
    await work(database, returns={"a": -50})
    assert (accounts(url)[ANN], reservations(url)) == ((0, 150), {"a": (150, "held")})
    await database.audit.append([event("a", 150)])
    assert (accounts(url)[ANN], reservations(url)) == ((150, 0), {})


async def test_asking_again_under_one_lease_is_asking_once(database, url):
    assert await micros(database, want("a", 600)) == await micros(database, want("a", 600)) == [600]
    assert accounts(url)[ANN] == (0, 600)


async def test_an_event_settles_what_was_put_aside_for_it_once(database, url):
    await work(database, want("a", 600), want("b", 300))
    for _ in range(2):
        await database.audit.append([event("a", 250)])
    assert accounts(url) == {ANN: (250, 300), MONTH: (250, 300)}
    assert reservations(url) == {"b": (300, "held")}
    await work(database, returns={"a": 350})
    assert accounts(url)[ANN] == (250, 300)
    await exact(database)


async def test_an_event_for_which_nothing_was_put_aside_is_charged_too(database, url):
    await work(database, want("a", 600))
    await database.audit.append([event("x", 70, lease=None), event("y", 5, actor_id="bob")])
    assert accounts(url) == {ANN: (70, 600), MONTH: (75, 600)}
    await exact(database)


async def test_a_turn_whose_end_nobody_saw_is_charged_what_was_put_aside(database, url):
    await work(database, want("a", 600))
    await database.audit.append([interrupted("a", 600)])
    assert accounts(url)[ANN] == (600, 0)
    await exact(database)


async def test_what_nobody_told_of_in_time_counts_as_spent_until_somebody_does(database, url):
    await work(database, want("a", 600, expires_at=NOON + 10))
    assert await micros(database, want("b", 500), now=NOON + 10) == [None]
    assert (accounts(url)[ANN], reservations(url)) == ((600, 0), {"a": (600, "expired")})
    await exact(database)
    await work(database, returns={"a": 100}, now=NOON + 11)
    assert accounts(url)[ANN] == (500, 0)
    await database.audit.append([event("a", 250)])
    assert (accounts(url)[ANN], reservations(url)) == ((250, 0), {})
    await exact(database)


async def test_an_event_takes_from_a_chunk_what_it_cost(database, url):
    await work(database, want("chunk", 600))
    await database.audit.append([event("a", 250, lease="chunk"), event("b", 100, lease="chunk")])
    assert (accounts(url)[ANN], reservations(url)) == ((350, 250), {"chunk": (250, "held")})
    await work(database, returns={"chunk": 150})
    assert accounts(url)[ANN] == (350, 100)
    await database.audit.append([event("c", 130, lease="chunk")])
    assert (accounts(url)[ANN], reservations(url)) == ((480, 0), {})
    await exact(database)


async def test_a_chunk_is_a_share_of_what_is_left(database):
    chunk = want("chunk", 10_000, least=5, share=100)
    assert await micros(database, chunk) == [10]
    assert await micros(database, want("more", 10_000, least=1, share=100, shared={"user_day": 10})) == [None]
    assert await micros(database, want("a", 900), want("other", 10_000, least=2, share=100)) == [900, None]


async def test_an_account_that_is_not_there_knows_what_was_before(database):
    before = [
        event("old", 100, created_at=NOON - DAY, lease=None),
        event("new", 20, lease=None),
        interrupted("cut", 7),
        event("guest", 3, role="GUEST", lease=None),
        event("long-ago", 1_000, created_at=NOON - 40 * DAY, lease=None),
    ]
    await database.audit.append(before)
    limits = {
        f"{scope}_{length}": 10**6 for scope in ("user", "role", "total") for length in ("day", "month")
    }
    (answer,) = await work(database, want("a", 1, limits=limits))
    assert {each.name: each.spent for each in answer.standings} == {
        "user_day": 30,
        "user_month": 130,
        "role_day": 27,
        "role_month": 127,
        "total_day": 30,
        "total_month": 130,
    }
    await exact(database)


async def test_an_account_made_later_knows_what_is_put_aside(database, url):
    await work(database, want("a", 600), want("late", 100, expires_at=NOON))
    await work(database, now=NOON)
    ask(url, "DELETE FROM budget_ledger")
    await work(database, want("b", 50))
    assert accounts(url) == {ANN: (100, 650), MONTH: (100, 650)}


async def test_a_new_day_has_a_new_budget_and_an_old_turn_is_charged_to_its_own(database, url):
    midnight = 20_784 * DAY
    await work(database, want("a", 1_000, at=midnight - 1))
    assert await micros(database, want("b", 1_000, at=midnight)) == [1_000]
    await database.audit.append([event("a", 400, created_at=midnight - 1)])
    assert accounts(url) == {
        ANN: (400, 0),
        ("user", "ann", "2026-11-27"): (0, 1_000),
        MONTH: (400, 1_000),
    }
    await exact(database)


async def test_standings_change_nothing(database, url):
    limits = {"user_day": 1_000, "total_day": 5_000}
    assert [each.spent for each in await database.budgets.standings("ann", "CFO", NOON, limits)] == [0, 0]
    await database.audit.append([event("a", 30, lease=None)])
    told = await database.budgets.standings("ann", "CFO", NOON, limits)
    assert [(each.name, each.spent, each.reserved) for each in told] == [
        ("user_day", 30, 0),
        ("total_day", 30, 0),
    ]
    assert accounts(url) == {}
    await work(database, want("b", 5, limits=limits))
    told = await database.budgets.standings("ann", "CFO", NOON, limits)
    assert [(each.spent, each.reserved) for each in told] == [(30, 5), (30, 5)]


async def test_what_a_dead_process_put_aside_and_never_used_goes_back(database, url):
    await database.budgets.work("dead", NOON, [want("a", 100), want("b", 200, expires_at=NOON + 1)])
    await work(database, want("mine", 50), now=NOON + 1)
    assert accounts(url)[ANN] == (200, 150)
    await database.budgets.finish("dead")
    assert (accounts(url)[ANN], reservations(url)) == ((0, 50), {"mine": (50, "held")})
    await database.budgets.finish("dead")
    await exact(database)


async def test_a_row_put_aside_gives_back_what_was_put_aside_for_it(database, url):
    await work(database, want("a", 600))
    for _ in range(2):
        await database.audit.quarantine(event("a", 10), "refused", b"raw")
    assert (accounts(url)[ANN], reservations(url)) == ((0, 0), {})


async def test_without_an_audit_what_it_came_to_is_told(database, url):
    await work(database, want("a", 600))
    for _ in range(2):
        await work(database, charges={"a": 250})
    assert (accounts(url)[ANN], reservations(url)) == ((250, 0), {})


async def test_somebody_who_is_erased_has_no_account(database, url):
    await work(database, want("a", 600))
    await database.audit.append([event("a", 100)])
    await database.erasures.erase(
        "ann", lambda done: deed(DOER, "AUDIT_ERASURE", "ERASED", done.subject_id, {}), NOON
    )
    assert accounts(url) == {MONTH: (100, 0)}
    await work(database, want("b", 5, at=NOON + 1), now=NOON + 1)
    assert accounts(url) == {ANN: (0, 5), MONTH: (100, 5)}
    await exact(database)


@pytest.mark.parametrize("number", [200])
async def test_many_users_at_once_are_one_transaction(database, number):
    wants = [want(f"t{n}", 1, user_id=f"user-{n}") for n in range(number)]
    assert await micros(database, *wants) == [1] * number


async def test_two_processes_never_pass_the_limit_together(url):
    first, second = [await open_database(url, busy_timeout_ms=60_000) for _ in range(2)]
    given = await asyncio.gather(
        *(
            one.budgets.work(f"writer-{name}", NOON, [want(f"{name}-{n}", 30)])
            for n in range(40)
            for name, one in (("a", first), ("b", second))
        )
    )
    assert sum(each.micros or 0 for (each,) in given) == 990
    await first.close()
    await second.close()
    assert accounts(url)[ANN] == (0, 990)


async def test_events_and_wants_that_cross_leave_nothing_uncounted(database, url):
    """Accounts are made while events are being appended by somebody else."""
    other = await open_database(url, busy_timeout_ms=60_000)

    async def append():
        for n in range(20):
            await other.audit.append([event(f"e{n}-{m}", 1, lease=None, role=f"R{n}") for m in range(5)])

    async def reserve():
        for n in range(20):
            limits = {"role_day": 10**6, "total_day": 10**6}
            await work(database, want(f"t{n}", 1, role=f"R{n}", limits=limits))

    await asyncio.gather(append(), reserve())
    await other.close()
    await exact(database)
    assert accounts(url)[("total", "", "2026-11-26")] == (100, 20)
    assert accounts(url)[("role", "R19", "2026-11-26")][0] == 5


def corrected(found):
    return deed(DOER, "BUDGET_LEDGER", "REBUILT", "ledger", {"accounts": len(found)})


async def test_rebuilding_makes_the_ledger_fit_its_events_and_says_so(database, url):
    await work(database, want("a", 600))
    await database.audit.append([event("b", 40, lease=None)])
    ask(url, "UPDATE budget_ledger SET spent = 7, reserved = 0 WHERE scope = 'user'")
    (found,) = await database.budgets.rebuild(NOON, None)
    assert (found.scope, found.spent, found.should_spent, found.reserved, found.should_reserved) == (
        *("user", 7, 40, 0, 600),
    )
    assert found.drift == 33
    assert accounts(url)[ANN] == (7, 0)
    assert len(await database.budgets.rebuild(NOON, corrected)) == 1
    assert accounts(url)[ANN] == (40, 600)
    assert await database.budgets.rebuild(NOON, corrected) == ()
    assert [r["action"] for r in ask(url, "SELECT action FROM audit_event ORDER BY log_index")] == [
        "QUERY",
        "REBUILT",
    ]


async def test_rebuilding_forgets_what_expired_long_ago_but_not_what_did_just_now(database, url):
    await work(database, want("old", 100, expires_at=NOON - 2 * DAY), want("new", 50, expires_at=NOON - 1))
    await work(database)
    assert accounts(url)[ANN] == (150, 0)
    await database.budgets.rebuild(NOON, corrected)
    assert (accounts(url)[ANN], reservations(url)) == ((50, 0), {"new": (50, "expired")})


async def test_a_period_whose_events_are_not_all_kept_is_not_judged(database, url):
    await work(database, want("a", 600))
    ask(url, "UPDATE budget_ledger SET spent = 7")
    assert [each.period for each in await database.budgets.differences(NOON, since=NOON - DAY)] == [
        "2026-11-26"
    ]
    assert await database.budgets.differences(NOON, since=NOON) == ()
    assert len(await database.budgets.differences(NOON)) == 2


async def test_the_last_day_and_month_are_rebuilt_too(database, url):
    await work(database, want("a", 5, at=NOON - 30 * DAY), want("b", 5, at=NOON - DAY))
    ask(url, "UPDATE budget_ledger SET spent = 7")
    assert {each.period for each in await database.budgets.rebuild(NOON, corrected)} == {
        *("2026-10", "2026-11", "2026-11-25"),
    }
