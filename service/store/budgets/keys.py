"""Which accounts of the ledger a turn is in.

Refuses a name: a user's account is under the random id that the audit knows them by, and goes with it.
"""

from collections.abc import Iterable, Iterator, Mapping

from service.store.budgets.draft import Key
from service.store.budgets.periods import periods_of

USER, ROLE, TOTAL = "user", "role", "total"
MONTH = "month"


def key_of(name: str, subject: str, role: str, at: int) -> Key:
    """The account of a budget, such as `user_day`, for a user and a role at a moment."""
    scope, _, length = name.partition("_")
    day, month = periods_of(at)
    return scope, _whose(scope, subject, role), month if length == MONTH else day


def keys_of(subject: str | None, role: str | None, at: int) -> Iterator[Key]:
    """Every account that a turn counts in."""
    for period in periods_of(at):
        yield TOTAL, "", period
        if role:
            yield ROLE, role, period
        if subject:
            yield USER, subject, period


def keys_by_name(limits: Iterable[str], subject: str, role: str, at: int) -> Mapping[str, Key]:
    """The accounts of several budgets, by the budgets' names."""
    return {name: key_of(name, subject, role, at) for name in limits}


def _whose(scope: str, subject: str, role: str) -> str:
    return {USER: subject, ROLE: role}.get(scope, "")
