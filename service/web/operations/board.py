"""The board: one snapshot of a tenant for all of its who look, made when the last one is old.

Refuses to go blank when the database does: what was counted before is shown, and that it is of before.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import msgspec
from msgspec import Struct, structs

from config.settings import Limits
from service.errors import DatabaseError
from service.store.pulse import Account, Pulse
from service.web.health import Check, look
from service.web.operations import status
from service.web.operations.counts import MILLION, Counts, Whose
from service.web.operations.lens import Lens
from service.web.operations.period import FRAMES, SECOND, Period
from service.web.operations.views import (
    AuditState,
    BoardStatus,
    BudgetAccount,
    ErrorCounts,
    FiringAlert,
    Named,
    OperationsReport,
    ProcessState,
)
from telemetry.recorder import microseconds
from telemetry.timestamp import timestamp

SOON = 2
"""Seconds after which it is worth while to ask again while the past is still being read."""


class Standing(Struct, frozen=True, kw_only=True):
    """Whom the board asks how the house stands; each may be asked at any time.

    `audit` tells, and the moment of the newest checkpoint in microseconds since 1970 (UTC).
    """

    pulse: Pulse
    checks: Mapping[str, Check]
    limits: Callable[[], Limits]
    audit: Callable[[], Awaitable[tuple[AuditState, int | None]]]
    process: Callable[[], ProcessState]
    alerts: Callable[[], Awaitable[Sequence[FiringAlert]]]


class Told(Struct, frozen=True):
    """A report as it is sent; the tag stays the same while nothing but the time has changed."""

    report: OperationsReport
    body: bytes
    tag: str


class Snapshot(Struct, frozen=True):
    """One moment of one period: with names, as `named` has been given, and a report for each way to name."""

    at: int
    again: int
    told: dict[Named, Told]
    tell: Callable[[Named], OperationsReport]


View = tuple[Period, str | None]
"""A period, as one tenant sees it."""
VIEWS = 256
"""Views that are kept: a slot of a minute holds little, and a lens begins anew where it was let go."""


class Seen:
    """What was read for one view, and the last snapshot of it."""

    def __init__(self, pulse: Pulse, lens: Lens) -> None:
        self.pulse, self.lens, self.lock = pulse, lens, asyncio.Lock()
        self.snapshot: Snapshot | None = None


class Board:
    """All periods. `clock` gives microseconds since 1970 (UTC)."""

    def __init__(self, standing: Standing, clock: Callable[[], int] = microseconds) -> None:
        self._standing, self._clock = standing, clock
        self._views: OrderedDict[View, Seen] = OrderedDict()
        self.made = 0

    async def told(self, period: Period, named: Named, tenant: str | None) -> Told:
        """The report of a period, at most as old as is worth while; `named` says how users are told of.

        Turns, users and their budgets are the tenant's alone; how the house stands is the same for all.
        """
        seen = self._seen((period, tenant))
        async with seen.lock:
            snapshot = seen.snapshot
            if snapshot is None or not 0 <= self._clock() - snapshot.at < snapshot.again * SECOND:
                snapshot = seen.snapshot = await self._made(period, seen)
        if named not in snapshot.told:
            snapshot.told[named] = _told(snapshot.tell(named))
        return snapshot.told[named]

    def _seen(self, view: View) -> Seen:
        """What was read for a view; of very many tenants the one that nobody looked at for longest goes."""
        if view not in self._views:
            period, tenant = view
            pulse = self._standing.pulse.within(tenant)
            self._views[view] = Seen(pulse, Lens(pulse, FRAMES[period]))
        self._views.move_to_end(view)
        if len(self._views) > VIEWS:
            self._views.popitem(last=False)
        return self._views[view]

    async def _made(self, period: Period, seen: Seen) -> Snapshot:
        lens, fault = seen.lens, None
        self.made += 1
        now = self._clock()
        try:
            await lens.look(now)
        except DatabaseError as error:
            fault = error.detail
        counts = Counts(lens, now)
        house = await self._house(counts, seen.pulse)
        again = lens.frame.again if lens.complete else SOON
        return Snapshot(now, again, {}, Teller(period, lens, now, counts, house, again, fault).tell)

    async def _house(self, counts: Counts, pulse: Pulse) -> "House":
        standing, now = self._standing, self._clock()
        looked = await asyncio.gather(*map(look, standing.checks.values()))
        audit, checkpoint = await standing.audit()
        accounts, known = await _of_store(pulse, counts, now)
        return House(
            dependencies=dict(zip(standing.checks, looked, strict=True)),
            audit=audit,
            overdue=checkpoint is not None and now - checkpoint > status.STALE,
            limits=standing.limits(),
            accounts=accounts,
            known=known,
            process=standing.process(),
            alerts=tuple(await standing.alerts()),
        )


async def _of_store(pulse: Pulse, counts: Counts, now: int) -> tuple[Sequence[Account], Mapping[str, str]]:
    """The fullest accounts, and who somebody is; nothing while the database is away."""
    try:
        accounts = await pulse.accounts(now)
        asked = counts.told_of() | {each.subject for each in accounts if each.scope == "user"}
        return accounts, await pulse.named(sorted(asked))
    except DatabaseError:
        return (), {}


class House(Struct, frozen=True, kw_only=True):
    """How the house stands at a moment."""

    dependencies: Mapping[str, status.Dependency]
    audit: AuditState
    overdue: bool
    limits: Limits
    accounts: Sequence[Account]
    known: Mapping[str, str]
    process: ProcessState
    alerts: tuple[FiringAlert, ...]


class Teller(Struct, frozen=True):
    """Tells a snapshot, with the names that somebody may see."""

    period: Period
    lens: Lens
    now: int
    counts: Counts
    house: House
    again: int
    fault: str | None

    def tell(self, named: Named) -> OperationsReport:
        """The report."""
        counts, house, whose = self.counts, self.house, partial(_whose, self.house.known, named)
        errors, budgets = counts.errors(), tuple(_budgets(house, whose))
        return OperationsReport(
            period=self.period.value,
            since=timestamp(counts.moments[0] * SECOND),
            at=timestamp(self.now),
            step=self.lens.frame.step,
            slots=counts.moments,
            complete=self.lens.complete,
            fault=self.fault,
            again=self.again,
            status=_status(house, errors, budgets),
            turns=counts.outcomes(),
            errors=errors,
            latency=counts.latency(),
            first_text=counts.first_text(),
            limits=counts.limits(house.limits.mode, whose),
            budgets=budgets,
            cost=counts.cost(whose),
            audit=house.audit,
            dependencies=house.dependencies,
            alerts=house.alerts,
            process=house.process,
        )


def _status(house: House, errors: ErrorCounts, budgets: Sequence[BudgetAccount]) -> BoardStatus:
    return status.status_of(
        (
            *status.of_alerts(house.alerts, errors),
            *status.of_dependencies(house.dependencies),
            *status.of_audit(house.audit, overdue=house.overdue),
            *status.of_budgets(budgets),
        )
    )


def _whose(known: Mapping[str, str], named: Named, subject: str) -> str:
    """A user, by name or not; whom nobody knows any more by the random id."""
    return named(known[subject]) if subject in known else subject


def _told(report: OperationsReport) -> Told:
    timeless = msgspec.json.encode(structs.replace(report, at=""))
    tag = hashlib.blake2b(timeless, digest_size=12).hexdigest()
    return Told(report, msgspec.json.encode(report), f'"{tag}"')


def _budgets(house: House, whose: Whose) -> list[BudgetAccount]:
    """Each budget that is set, by its fullest accounts."""
    return [
        _budget(name, limit, each, whose)
        for name, limit in structs.asdict(house.limits.budgets).items()
        if limit is not None
        for each in house.accounts
        if _is_of(each, name)
    ]


def _is_of(account: Account, name: str) -> bool:
    """Whether an account is one of a budget, such as `user_day`."""
    scope, _, length = name.partition("_")
    of_a_day = len(account.period) > len("2026-11")
    return account.scope == scope and of_a_day == (length == "day")


def _budget(name: str, limit: int, account: Account, whose: Whose) -> BudgetAccount:
    return BudgetAccount(
        name=name,
        subject=whose(account.subject) if account.scope == "user" else account.subject,
        period=account.period,
        limit=limit / MILLION,
        spent=account.spent / MILLION,
        reserved=account.reserved / MILLION,
    )
