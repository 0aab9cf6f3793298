"""A baseline of turns -> limits that would have refused nobody on all but their busiest occasions.

Refuses to judge who is legitimate: it says who was the busiest; whoever asks may leave somebody out. Pure, in
one pass over turns in the order of their time; it holds nothing of a turn for longer than a window.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Protocol

from msgspec import Struct, structs

from config.settings import Limits
from service.limits.demand import BURST, MOST_COUNTED
from service.limits.need import Need
from service.limits.rules import MINUTE_MS
from service.limits.sizes import Daily, Sizes, Sliding, Spread, step

MILLISECOND = 1_000
"""Microseconds."""
LEAST_MICROS, LEAST_TOKENS = 10_000, 5
"""A cent; what a limit of tokens is at least."""


class Turn(Protocol):
    """A turn that came to the limits, or `count` like ones; `at` is microseconds since 1970 (UTC)."""

    @property
    def at(self) -> int:
        """When it was opened."""
        ...

    @property
    def user_id(self) -> str | None:
        """Who asked; None where nobody may know any more."""
        ...

    @property
    def subject(self) -> str:
        """Who asked, as the audit calls them."""
        ...

    @property
    def role(self) -> str:
        """In which role."""
        ...

    @property
    def model(self) -> str | None:
        """Which model."""
        ...

    @property
    def tokens(self) -> int:
        """What it took."""
        ...

    @property
    def cost_micros(self) -> int:
        """What it cost."""
        ...

    @property
    def count(self) -> int:
        """How many."""
        ...

    @property
    def ended_at(self) -> int:
        """When it was over."""
        ...


Weigh = Callable[[Turn], Need]
"""The most that a turn may have asked for: that much must be left for it to be let in."""


class Baseline(Struct, frozen=True, kw_only=True):
    """What turns came to: `requests` by role, in all and in a window.

    Tokens are those of a minute, `needs` the most that one turn may have asked for; micro-dollars those of a
    day, `least` what one turn needs to begin. None where there were none.
    """

    requests: Mapping[str, int]
    roles: Mapping[str, Spread]
    tokens: Spread | None
    needs: Spread | None
    micros: Spread | None
    least: Spread | None


class Survey:
    """Takes turns, in the order of their time, and says what they came to; `without` are left out."""

    def __init__(self, window_ms: int, weigh: Weigh, without: Collection[str] = ()) -> None:
        self._window, self._weigh, self._without = window_ms * MILLISECOND, weigh, without
        self._requests: Counter[str] = Counter()
        self._roles: dict[str, Sliding] = {}
        self._tokens, self._needs = Sliding(MINUTE_MS * MILLISECOND), Sizes()
        self._micros, self._least = Daily(), Sizes()

    def take(self, turns: Iterable[Turn]) -> None:
        """Some more."""
        for turn in left_in(turns, self._without):
            user = name_of(turn)
            self._requests[turn.role] += turn.count
            role = self._roles.setdefault(turn.role, Sliding(self._window))
            role.add(user, turn.at, turn.count)
            if turn.tokens or turn.cost_micros:
                self._spent(user, turn, self._weigh(turn))

    def end(self) -> Baseline:
        """Nothing more comes."""
        spreads = {role: sliding.end().spread() for role, sliding in self._roles.items()}
        return Baseline(
            requests=self._requests,
            roles={role: spread for role, spread in spreads.items() if spread},
            tokens=self._tokens.end().spread(),
            needs=self._needs.spread(),
            micros=self._micros.end().spread(),
            least=self._least.spread(),
        )

    def _spent(self, user: str, turn: Turn, need: Need) -> None:
        if turn.tokens:
            self._tokens.add(user, turn.at, turn.tokens)
            self._needs.add(user, need.tokens)
        if turn.cost_micros:
            self._micros.add(user, turn.at, turn.cost_micros)
            self._least.add(user, need.least_micros)


def propose(baseline: Baseline, limits: Limits) -> Limits:
    """The smallest numbers, in steps of 1, 2, 5, that hold the busiest user's p99; the rest as it is set.

    A limit of tokens admits a fifth of it at once: the most that a turn may ask for must fit into that. At
    the end of a day there must be enough left for a turn to begin.
    """
    roles = {role: min(MOST_COUNTED, step(spread.busiest)) for role, spread in baseline.roles.items()}
    tokens, micros = limits.tokens_per_minute, limits.budgets.user_day
    if baseline.tokens and baseline.needs:
        tokens = step(max(LEAST_TOKENS, baseline.tokens.busiest, BURST * baseline.needs.busiest))
    if baseline.micros and baseline.least:
        micros = step(max(LEAST_MICROS, baseline.micros.busiest + baseline.least.busiest))
    budgets = structs.replace(limits.budgets, user_day=micros)
    return structs.replace(limits, roles={**limits.roles, **roles}, tokens_per_minute=tokens, budgets=budgets)


def left_in(turns: Iterable[Turn], without: Collection[str]) -> Iterator[Turn]:
    """The turns but for those of some users."""
    return (turn for turn in turns if name_of(turn) not in without) if without else iter(turns)


def name_of(turn: Turn) -> str:
    """Whose it is, by name where there is one."""
    return turn.user_id or turn.subject
