"""One transaction of the ledger: what is given back, what has expired, then who wants something put aside.

Refuses to pass a limit: what is spent, what is put aside and what is wanted stay below it together.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from service.store.budgets.draft import HELD, Account, Draft, Holding, Key
from service.store.budgets.keys import keys_by_name
from service.store.budgets.periods import span_of

PERCENTS = (100, 80, 50)
"""Of a limit: what is spent is told once when it has reached one. What is put aside does not count: a worst
case is many times what a turn comes to."""


class Want(Protocol):
    """Money to be put aside for a turn, or a chunk of it; read only. Micro-dollars."""

    @property
    def lease(self) -> str:
        """Names the reservation."""
        ...

    @property
    def user_id(self) -> str:
        """Whose."""
        ...

    @property
    def role(self) -> str:
        """In which role."""
        ...

    @property
    def at(self) -> int:
        """The moment whose day and month count; microseconds since 1970 (UTC)."""
        ...

    @property
    def micros(self) -> int:
        """How much."""
        ...

    @property
    def least(self) -> int:
        """With how much less it does."""
        ...

    @property
    def force(self) -> bool:
        """Whether it is put aside whatever the limits say."""
        ...

    @property
    def limits(self) -> Mapping[str, int]:
        """The budgets that hold, such as `user_day`."""
        ...

    @property
    def expires_at(self) -> int:
        """When it counts as spent, unless somebody said what it came to."""
        ...

    @property
    def share(self) -> int:
        """Take at most this part of what is left: 100 is a hundredth; 1 all."""
        ...

    @property
    def shared(self) -> Mapping[str, int]:
        """What its process has of each budget already, in such shares."""
        ...


class Standing(Struct, frozen=True, kw_only=True):
    """One budget after the decision. `crossed` is the percentage it passed just now, 0 where none.

    `ends_at` is when its period ends.
    """

    name: str
    limit: int
    spent: int
    reserved: int
    ends_at: int
    crossed: int = 0


class Answer(Struct, frozen=True, kw_only=True):
    """What was put aside, None where nothing was; and how every budget of the want stands then."""

    micros: int | None
    standings: tuple[Standing, ...]


class Lacking(Struct, frozen=True):
    """Nothing was done: these accounts and users are to be made first."""

    keys: tuple[Key, ...] = ()
    users: tuple[str, ...] = ()


class Placed(Struct, frozen=True):
    """A want and its accounts."""

    want: Want
    keys: Mapping[str, Key]


def placed(wants: Sequence[Want], subjects: Mapping[str, str]) -> Sequence[Placed]:
    """Wants with their accounts; `subjects` has the random ids by user."""
    return [
        Placed(each, keys_by_name(each.limits, subjects.get(each.user_id, ""), each.role, each.at))
        for each in wants
    ]


class Told(Struct, frozen=True):
    """What is told of reservations, by their ids: given back in all, and charged at the end."""

    returns: Mapping[str, int]
    charges: Mapping[str, int]


def hear(told: Told, draft: Draft, now: int) -> None:
    """Take back what is given back, charge what is over, and count as spent what has expired."""
    for holding in draft.holdings.values():
        if holding.id in told.returns:
            draft.give_back(holding, told.returns[holding.id])
        if holding.id in told.charges:
            _charge(holding, told.charges[holding.id], draft)
        if holding.state == HELD and holding.amount and holding.expires_at <= now:
            draft.expire(holding)


def _charge(holding: Holding, micros: int, draft: Draft) -> None:
    draft.lower(holding, holding.amount)
    for key in holding.keys:
        draft.change(key, spent=micros)


def decide(each: Placed, draft: Draft, writer: str) -> Answer:
    """Put aside what is wanted, or nothing."""
    want, keys = each.want, each.keys
    before = draft.holdings.get(want.lease)
    if before:  # an earlier try that nobody heard of
        draft.lower(before, before.amount)
    micros = _fitting(want, keys, draft.accounts)
    if micros is not None:
        draft.hold(_holding(want, micros, keys.values(), writer))
    refused = micros is None and want.share == 1
    return Answer(
        micros=micros,
        standings=tuple(_standing(name, each, key, draft, refused=refused) for name, key in keys.items()),
    )


def _fitting(want: Want, keys: Mapping[str, Key], accounts: Mapping[Key, Account]) -> int | None:
    if want.force:
        return want.micros
    left = (_left(name, want, accounts[key]) for name, key in keys.items())
    micros = min(want.micros, *left)
    return micros if micros >= want.least else None


def _left(name: str, want: Want, account: Account) -> int:
    own = want.shared.get(name, 0)
    return (want.limits[name] - account.taken + own) // want.share - own


def _holding(want: Want, micros: int, keys: Iterable[Key], writer: str) -> Holding:
    return Holding(
        id=want.lease,
        writer=writer,
        amount=micros,
        returned=0,
        keys=tuple(keys),
        state=HELD,
        expires_at=want.expires_at,
    )


def _standing(name: str, each: Placed, key: Key, draft: Draft, *, refused: bool) -> Standing:
    account, limit = draft.accounts[key], each.want.limits[name]
    # Of so little nothing can be had, though nothing were put aside: it is used up.
    used_up = refused and limit - account.spent < each.want.least
    reached = max(limit, account.spent) if used_up else account.spent
    crossed = crossing(account.told, reached, limit)
    if crossed:
        account.told = reached
        draft.changed.add(key)
    return standing(name, limit, key, account, crossed)


def standing(name: str, limit: int, key: Key, account: Account, crossed: int = 0) -> Standing:
    """How a budget stands."""
    return Standing(
        name=name,
        limit=limit,
        spent=account.spent,
        reserved=account.reserved,
        ends_at=span_of(key[2])[1],
        crossed=crossed,
    )


def crossing(told: int, reached: int, limit: int) -> int:
    """The highest percentage of its limit that was reached since one was told; 0 where none."""
    return next((each for each in PERCENTS if told < -(-limit * each // 100) <= reached), 0)
