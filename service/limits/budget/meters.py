"""What budgets tell of themselves: how far they are used, whom they refused, how far their ledger is off.

Refuses a user as a label: of users' budgets the fullest one is told.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from logging import WARNING
from weakref import WeakSet

from msgspec import Struct
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from service.limits.budget.ledger import Answer, Standing, Want
from telemetry import log, names
from telemetry.log import Line

MILLION = 1_000_000
REMEMBERED = 1_000
"""Users, roles and all whose budgets are told, those that were used last."""

_meter = metrics.get_meter(names.SCOPE)
_refusals = _meter.create_counter(
    names.BUDGET_REFUSALS, unit="{turn}", description="Turns that a budget refused"
)


class Used(Struct, frozen=True):
    """How far a budget is used, as a part of 1, and until when that says something."""

    ratio: float
    ends_at: int


class Meters:
    """The budgets of one process, as it last heard of them. `drift` is in micro-dollars."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._used: OrderedDict[tuple[str, str], Used] = OrderedDict()
        self.drift = 0
        _meters.add(self)

    def start(self, budgets: Iterable[str]) -> None:
        """Create the series at 0."""
        for name in budgets:
            _refusals.add(0, {"budget": name})

    def refuse(self, name: str) -> None:
        """A budget refused a turn."""
        _refusals.add(1, {"budget": name})

    def heed(self, want: Want, answer: Answer) -> None:
        """The ledger spoke."""
        for each in answer.standings:
            self._heed(each.name, want.subject(each.name), each)
            if each.crossed:
                log.tell(line(want, each))

    def used(self) -> dict[str, float]:
        """How far the fullest of each budget is used."""
        told: dict[str, float] = {}
        now = self._clock()
        for (name, _), each in tuple(self._used.items()):
            if each.ends_at > now:
                told[name] = max(told.get(name, 0.0), each.ratio)
        return told

    def _heed(self, name: str, subject: str, each: Standing) -> None:
        self._used[name, subject] = Used(each.spent / (each.limit or 1), each.ends_at)
        self._used.move_to_end((name, subject))
        while len(self._used) > REMEMBERED:
            self._used.popitem(last=False)


def line(want: Want, each: Standing) -> Line:
    """Of a budget 50, 80 or 100 % is spent, or no turn can be had of what is left; money is in US dollars."""
    scope = each.name.partition("_")[0]
    return Line(
        names.BUDGET_THRESHOLD,
        WARNING,
        {
            "budget": each.name,
            "scope": scope,
            "subject": {"user": want.pseudonym, "role": want.role}.get(scope),
            "percent": each.crossed,
            "spent": each.spent / MILLION,
            "reserved": each.reserved / MILLION,
            "limit": each.limit / MILLION,
        },
    )


_meters: WeakSet[Meters] = WeakSet()


def _used(options: CallbackOptions) -> Sequence[Observation]:
    del options
    return [
        Observation(ratio, {"budget": name})
        for each in tuple(_meters)[:1]
        for name, ratio in each.used().items()
    ]


def _drift(options: CallbackOptions) -> Sequence[Observation]:
    del options
    return [Observation(each.drift) for each in tuple(_meters)[:1]]


_meter.create_observable_gauge(
    names.BUDGET_USED, [_used], "1", "What is spent of the fullest budget of a name"
)
_meter.create_observable_gauge(
    names.BUDGET_DRIFT, [_drift], "{micro-USD}", "How far the ledger is off the events of this day and month"
)
