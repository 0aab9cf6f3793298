"""The ledger held against the events, and made to fit them again.

Refuses to judge a period whose events are not all there any more.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from piccolo.querystring import QueryString

from service.store.budgets import books, sums
from service.store.budgets.draft import EXPIRED, Account, Draft, Key
from service.store.budgets.periods import DAY, before, periods_of, span_of
from service.store.budgets.sums import Sums
from service.store.engine import Ask, Script
from service.store.listed import listed

OF_PERIODS = "SELECT scope, subject, period FROM budget_ledger WHERE period IN ({})"
FORGOTTEN = DAY
"""After so long, in microseconds, no event is waited for any more that an expired reservation was for."""


class Difference(Struct, frozen=True, kw_only=True, rename="camel"):
    """An account, what the ledger says of it, and what it should; in micro-dollars.

    `subject` is a user's random id, a role's name, or nothing.
    """

    scope: str
    subject: str
    period: str
    spent: int
    reserved: int
    should_spent: int
    should_reserved: int

    @property
    def drift(self) -> int:
        """How far off it is."""
        return abs(self.spent - self.should_spent)


class Read(Struct, frozen=True):
    """What the events before a place in the log came to, by period."""

    upto: int
    sums: Mapping[str, Sums]


def current(now: int, since: int) -> Sequence[str]:
    """This day and this month, as far as their events are all kept: those from `since` on are."""
    return [each for each in periods_of(now) if span_of(each)[0] >= since]


def recent(now: int, since: int) -> Sequence[str]:
    """The same, and the day and the month before."""
    both = (*periods_of(now), *map(before, periods_of(now)))
    return [each for each in dict.fromkeys(both) if span_of(each)[0] >= since]


def compare(read: Read, draft: Draft, dialect: str, now: int) -> Script[tuple[Difference, ...]]:
    """Hold the ledger against the events; the draft is made to fit them.

    Reservations that expired more than a day ago go: their events would have come.
    """
    yield from books.load_holdings(draft, books.HELD_ONES)
    keys = [books.key(row) for row in (yield Ask(QueryString(OF_PERIODS, listed(dialect, read.sums))))]
    yield from books.load_accounts(draft, keys, dialect)
    spent: dict[Key, int] = {}
    for period in read.sums:
        tail = yield from sums.grouped_since(period, read.upto, dialect)
        spent |= {(*name, period): micros for name, micros in _both(read.sums[period], tail).items()}
    was = {key: (draft.accounts[key].spent, draft.accounts[key].reserved) for key in keys}
    _forget(draft, now)
    put_aside = books.held_by_key(draft.holdings.values())
    return tuple(_differences(was, spent, put_aside, draft))


def _differences(
    was: Mapping[Key, tuple[int, int]],
    spent: Mapping[Key, int],
    put_aside: Mapping[Key, Account],
    draft: Draft,
) -> Iterator[Difference]:
    for key, (before_spent, before_reserved) in was.items():
        aside, account = put_aside.get(key, Account()), draft.accounts[key]
        account.spent, account.reserved = spent.get(key, 0) + aside.spent, aside.reserved
        if (account.spent, account.reserved) != (before_spent, before_reserved):
            draft.changed.add(key)
            yield Difference(
                scope=key[0],
                subject=key[1],
                period=key[2],
                spent=before_spent,
                reserved=before_reserved,
                should_spent=account.spent,
                should_reserved=account.reserved,
            )


def _forget(draft: Draft, now: int) -> None:
    for each in draft.holdings.values():
        if each.state == EXPIRED and each.expires_at <= now - FORGOTTEN:
            draft.lower(each, each.amount)


def _both(one: Mapping[tuple[str, str], int], other: Mapping[tuple[str, str], int]) -> Sums:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
