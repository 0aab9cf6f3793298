"""Slots of a lens -> turns, errors, percentiles, decisions and cost, as the board tells them.

Refuses to ask for anything: whatever is told here was read of the log.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from service.store.pulse import SLICE
from service.web.operations import views
from service.web.operations.lens import Kind, Lens, Slot, Sum
from service.web.operations.period import SECOND
from service.web.operations.quantiles import Histogram
from service.web.operations.slices import Peak
from telemetry import names
from telemetry.failure import RULES, Category, Code, Fault
from telemetry.record import Decision, Outcome
from telemetry.spike import RUNBOOK
from telemetry.timestamp import timestamp

MILLION = 1_000_000
MOST = 10
"""Users that are told of, in each list."""
PARTS = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
EMPTY = Slot()
UNKNOWN = "unknown"

Whose = Callable[[str], str]
"""A user's random id -> what is told of them."""
Key = Callable[[Kind], str | None]


class Counts:
    """One lens at a moment, in microseconds since 1970 (UTC)."""

    def __init__(self, lens: Lens, now: int) -> None:
        self._lens, self._now = lens, now
        self.first = lens.frame.first(now)
        self.slots = [lens.slots.get(self.first + at, EMPTY) for at in range(lens.frame.slots)]
        self.turns, self.users = (
            _merged(slot.turns for slot in self.slots),
            _merged(slot.users for slot in self.slots),
        )

    @property
    def moments(self) -> tuple[int, ...]:
        """When each slot begins, in seconds since 1970."""
        step = self._lens.frame.step
        return tuple((self.first + at) * step for at in range(self._lens.frame.slots))

    def outcomes(self) -> views.TurnCounts:
        """By outcome; each has its number, where there was none too."""
        totals = _totals(self.turns, lambda kind: kind[0])
        known = {each.value: totals.get(each.value, 0) for each in Outcome}
        series = self._series(lambda kind: kind[0], known)
        return views.TurnCounts(total=sum(known.values()), by_outcome=known, series=series)

    def errors(self) -> views.ErrorCounts:
        """By category and fault, and the spikes among them."""
        counts: dict[tuple[Category, Fault], int] = {}
        for (_, code, _, _), each in self.turns.items():
            if rule := _rule_of(code):
                counts[rule] = counts.get(rule, 0) + each.turns
        told = [
            views.ErrorKind(category=category.value, fault=fault.value, count=count)
            for (category, fault), count in sorted(counts.items(), key=lambda each: -each[1])
        ]
        return views.ErrorCounts(
            total=sum(counts.values()),
            by_category=tuple(told),
            series=self._series(_category_of, [category.value for category in Category]),
            spikes=tuple(map(_spike, self._peaks())),
        )

    def _peaks(self) -> Sequence[Peak]:
        begin, now, slices = self.moments[0], self._now / SECOND, self._lens.slices
        since = (self._now - self._lens.frame.reach) / SECOND
        if self._lens.whole and slices.first is not None:
            since = max(since, slices.first * SLICE / SECOND)
        return slices.peaks((begin, now), since)

    def latency(self) -> views.Percentiles:
        """Of whole turns that reached the model, as `gen_ai.invoke_agent.duration` has them."""
        return _percentiles([slot.times for slot in self.slots], names.TURN_BUCKETS)

    def first_text(self) -> views.Percentiles:
        """Of model calls, as `gen_ai.client.operation.time_to_first_chunk` has them."""
        return _percentiles([slot.firsts for slot in self.slots], names.SECONDS_BUCKETS)

    def limits(self, mode: str, whose: Whose) -> views.LimitCounts:
        """What the limiter decided; who had least left, and who was refused most."""
        counts: dict[tuple[str, str], int] = {}
        for (_, _, decision, policy), each in self.users.items():
            if decision and policy:
                counts[decision, policy] = counts.get((decision, policy), 0) + each.turns
        told = [
            views.DecisionCount(decision=decision, policy=policy, count=count)
            for (decision, policy), count in sorted(counts.items())
        ]
        decisions = [each.value for each in Decision]
        return views.LimitCounts(
            mode=mode,
            decisions=tuple(told),
            series=self._series(lambda kind: kind[2], decisions, of_users=True),
            near=self._near(whose),
            refused=self._refused(whose),
        )

    def _near(self, whose: Whose) -> tuple[views.NearLimit, ...]:
        close: dict[tuple[str, str], Sum] = {}
        for (subject, role, _, policy), each in self.users.items():
            if subject and role and policy == "role":
                close.setdefault((subject, role), Sum()).add(each, each.least)
        found = [(each.least, key, each) for key, each in close.items() if each.least is not None]
        return tuple(
            views.NearLimit(user=whose(subject), role=role, left=left, turns=each.turns)
            for left, (subject, role), each in sorted(found, key=lambda one: (one[0], one[1]))[:MOST]
        )

    def _refused(self, whose: Whose) -> tuple[views.RefusedUser, ...]:
        found = [
            (each.turns, kind)
            for kind, each in self.users.items()
            if kind[2] in {Decision.DENIED, Decision.OBSERVED}
        ]
        return tuple(
            views.RefusedUser(
                user=whose(subject) if subject else None,
                role=role,
                policy=policy or UNKNOWN,
                decision=decision or UNKNOWN,
                count=count,
            )
            for count, (subject, role, decision, policy) in sorted(found, key=lambda one: -one[0])[:MOST]
        )

    def cost(self, whose: Whose) -> views.CostCounts:
        """In all and by whom."""
        by_user = _rows(self.users, lambda kind: kind[0])[:MOST]
        total = sum(each.cost for each in self.turns.values())
        return views.CostCounts(
            total=total / MILLION,
            tokens=sum(each.tokens for each in self.turns.values()),
            series=tuple(sum(each.cost for each in slot.turns.values()) / MILLION for slot in self.slots),
            by_user=tuple(_row(whose(key) if key else None, each) for key, each in by_user),
            by_role=tuple(_row(*each) for each in _rows(self.turns, lambda kind: kind[2])),
            by_model=tuple(_row(*each) for each in _rows(self.turns, lambda kind: kind[3])),
            by_day=tuple(self._days()),
        )

    def told_of(self) -> set[str]:
        """The users' random ids that some list names."""
        seen: set[str] = set()
        self._near(lambda subject: seen.add(subject) or "")
        self._refused(lambda subject: seen.add(subject) or "")
        return seen | {key for key, _ in _rows(self.users, lambda kind: kind[0])[:MOST] if key}

    def _days(self) -> Iterable[views.CostRow]:
        days: dict[str, Sum] = {}
        for begin, slot in zip(self.moments, self.slots, strict=True):
            day = datetime.fromtimestamp(begin, UTC).date().isoformat()
            for each in slot.turns.values():
                days.setdefault(day, Sum()).add(each)
        return (_row(day, each) for day, each in days.items())

    def _series(
        self, key: Key, known: Iterable[str], *, of_users: bool = False
    ) -> Mapping[str, views.Numbers]:
        series = {name: [0] * len(self.slots) for name in known}
        for at, slot in enumerate(self.slots):
            for kind, each in (slot.users if of_users else slot.turns).items():
                name = key(kind)
                if name in series:
                    series[name][at] += each.turns
        return {name: tuple(numbers) for name, numbers in series.items()}


def _merged(parts: Iterable[Mapping[Kind, Sum]]) -> Mapping[Kind, Sum]:
    whole: dict[Kind, Sum] = {}
    for part in parts:
        for kind, each in part.items():
            whole.setdefault(kind, Sum()).add(each, each.least)
    return whole


def _totals(sums: Mapping[Kind, Sum], key: Key) -> Mapping[str | None, int]:
    return {name: each.turns for name, each in _rows(sums, key)}


def _rows(sums: Mapping[Kind, Sum], key: Key) -> Sequence[tuple[str | None, Sum]]:
    """By key, the dearest first."""
    rows: dict[str | None, Sum] = {}
    for kind, each in sums.items():
        rows.setdefault(key(kind), Sum()).add(each)
    return sorted(rows.items(), key=lambda row: (-row[1].cost, -row[1].turns, row[0] or ""))


def _row(key: str | None, each: Sum) -> views.CostRow:
    return views.CostRow(key=key, turns=each.turns, tokens=each.tokens, cost=each.cost / MILLION)


def _rule_of(code: str | None) -> tuple[Category, Fault] | None:
    """The category and fault of a code; a code that nobody knows any more is in none."""
    try:
        rule = RULES[Code(code)]
    except ValueError:
        return None
    return rule.category, rule.fault


def _category_of(kind: Kind) -> str | None:
    rule = _rule_of(kind[1])
    return rule[0].value if rule else None


def _percentiles(parts: Sequence[Histogram], bounds: Sequence[float]) -> views.Percentiles:
    whole = Histogram(bounds)
    for each in parts:
        whole.merge(each)
    found = {name: whole.quantile(part) for name, part in PARTS.items()}
    series = {name: tuple(each.quantile(part) for each in parts) for name, part in PARTS.items()}
    return views.Percentiles(count=whole.count, series=series, **found)


def _spike(peak: Peak) -> views.ErrorSpike:
    return views.ErrorSpike(
        name=peak.spike.name,
        category=peak.spike.category.value,
        severity=peak.spike.severity.value,
        since=timestamp(round(peak.started * SECOND)),
        until=None if peak.ended is None else timestamp(round(peak.ended * SECOND)),
        count=peak.count,
        baseline=round(peak.baseline, 2),
        runbook=f"{RUNBOOK}#{peak.spike.name.lower()}",
    )
