"""What a purse asks of the budgets' ledger, and what it is answered; the store keeps one.

Refuses to know where it is. Money is micro-dollars, times are microseconds since 1970 (UTC).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from msgspec import Struct

from telemetry.record import Caller

DAY = 86_400_000_000
"""Microseconds."""
NOTHING: Mapping[str, int] = MappingProxyType({})


class LedgerAway(Exception):
    """The ledger did not answer in time, or is known not to."""


class Want(Struct, frozen=True, kw_only=True):
    """Money to be put aside under a lease: `micros`, or as much of it as is left, but not less than `least`.

    `limits` are the budgets that hold, by name. Of a chunk `share` is 100: it takes at most a hundredth of
    what is left, less what its process has of each budget in chunks already, which is `shared`.
    """

    lease: str
    user_id: str
    role: str
    pseudonym: str
    at: int
    micros: int
    least: int
    limits: Mapping[str, int]
    expires_at: int
    force: bool = False
    share: int = 1
    shared: Mapping[str, int] = NOTHING

    def subject(self, name: str) -> str:
        """Whom a budget is about: a user or a role; empty where it is about all."""
        scope = name.partition("_")[0]
        return {"user": self.user_id, "role": self.role}.get(scope, "")

    @property
    def pocket(self) -> tuple[str, ...]:
        """Equal for whoever is under the very same budgets."""
        return tuple(f"{name}\x1f{self.subject(name)}" for name in self.limits)


class Standing(Protocol):
    """One budget after a decision."""

    @property
    def name(self) -> str:
        """Such as `user_day`."""
        ...

    @property
    def limit(self) -> int:
        """What may be spent."""
        ...

    @property
    def spent(self) -> int:
        """What is."""
        ...

    @property
    def reserved(self) -> int:
        """What is put aside."""
        ...

    @property
    def ends_at(self) -> int:
        """When its period ends."""
        ...

    @property
    def crossed(self) -> int:
        """The percentage whose spending is told just now: 50, 80, 100; 0 where none."""
        ...


class Answer(Protocol):
    """What was put aside, None where nothing was, and how every budget stands then."""

    @property
    def micros(self) -> int | None:
        """How much."""
        ...

    @property
    def standings(self) -> Sequence[Standing]:
        """In the order of the limits."""
        ...


class Difference(Protocol):
    """An account that does not fit its events."""

    @property
    def drift(self) -> int:
        """How far off it is."""
        ...


class Ledger(Protocol):
    """Where money is kept, over all processes; every method raises DatabaseError."""

    async def work(
        self,
        writer: str,
        now: int,
        wants: Sequence[Want],
        returns: Mapping[str, int] = NOTHING,
        charges: Mapping[str, int] = NOTHING,
    ) -> Sequence[Answer]:
        """Take back, charge, then put aside, in one transaction; see `service.store.budgets.ledger`."""
        ...

    async def standings(
        self, user_id: str, role: str, at: int, limits: Mapping[str, int]
    ) -> Sequence[Standing]:
        """How budgets stand; changes nothing."""
        ...

    async def differences(self, now: int, since: int = 0) -> Sequence[Difference]:
        """The accounts of this day and month that do not fit their events; all are kept from `since` on."""
        ...


def want_of(caller: Caller, lease: str, limits: Mapping[str, int], at: int, expires_at: int) -> Want:
    """A want of nothing yet."""
    return Want(
        lease=lease,
        user_id=caller.person,
        role=caller.role,
        pseudonym=caller.pseudonym,
        at=at,
        micros=0,
        least=0,
        limits=limits,
        expires_at=expires_at,
    )
