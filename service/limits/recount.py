"""Turns that were admitted before the start -> counted again: a restart begins no window anew.

Refuses to count what the record does not tell: requests of addresses, calls of tools, turns under way.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from msgspec import structs

from service.limits.demand import Demand, Kind
from service.limits.memory import MemoryStore
from service.limits.own import only
from service.limits.rules import MINUTE_MS, TENANT, Rules
from telemetry.person import user_of
from telemetry.record import Caller

MICROSECOND, MILLISECOND = 1_000, 1_000
"""In nanoseconds, and in microseconds."""


class Admitted(Protocol):
    """A turn as the record tells it; times are microseconds since 1970 (UTC)."""

    @property
    def user_id(self) -> str | None:
        """Who asked; None where nobody may know any more."""
        ...

    @property
    def role(self) -> str:
        """In which role."""
        ...

    @property
    def tenant(self) -> str | None:
        """For which tenant."""
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
    def counted(self) -> bool:
        """Whether it was admitted."""
        ...

    @property
    def decided_at(self) -> int | None:
        """When."""
        ...

    @property
    def ended_at(self) -> int:
        """When the last of its tokens may have been counted."""
        ...


class Recount:
    """One recount. Requests count from when they were decided, tokens from the end of their turn.

    Args:
        store: What counts them.
        rules: Which rule holds for whom.
        resets: By pseudonym, when somebody's counts began anew.
        pseudonym: Of a user.
        now: This moment by the wall clock (microseconds) and by the store's (nanoseconds).
    """

    def __init__(
        self,
        store: MemoryStore,
        rules: Rules,
        resets: Mapping[str, int],
        pseudonym: Callable[[str], str],
        now: tuple[int, int],
    ) -> None:
        self._store, self._rules, self._resets, self._pseudonym = store, rules, resets, pseudonym
        wall, own = now
        self._ahead = own - wall * MICROSECOND
        self._since = wall - rules.limits.window_ms * MILLISECOND
        self._minute = wall - MINUTE_MS * MILLISECOND
        self._tokens: list[tuple[int, Demand]] = []

    def take(self, turns: Iterable[Admitted]) -> None:
        """Count the requests of these turns, and keep those of their tokens that still count."""
        for turn in turns:
            if turn.user_id is not None and turn.counted and turn.decided_at is not None:
                self._take(turn, turn.user_id, turn.decided_at)

    def finish(self) -> None:
        """Count the tokens: theirs is a store that wants them in their order."""
        for at, demand in sorted(self._tokens, key=lambda each: each[0]):
            self._store.record(demand, at * MICROSECOND + self._ahead)
        self._tokens.clear()

    def _take(self, turn: Admitted, user: str, decided_at: int) -> None:
        caller = _caller(user, turn)
        demand = self._rules.of_turn(caller, "", turn.model, turn.tokens)
        counts = only(demand, Kind.COUNT)
        if self._is_forgotten(user, decided_at):
            counts = structs.replace(demand, parts=tuple(p for p in counts.parts if p.rule.name == TENANT))
        elif turn.ended_at > self._minute and turn.tokens:
            self._tokens.append((turn.ended_at, only(demand, Kind.QUANTITY)))
        if decided_at > self._since:
            self._store.record(counts, decided_at * MICROSECOND + self._ahead)

    def _is_forgotten(self, user: str, decided_at: int) -> bool:
        return bool(self._resets) and self._resets.get(self._pseudonym(user), -1) >= decided_at


def _caller(user: str, turn: Admitted) -> Caller:
    return Caller(
        user_id=user_of(user), role=turn.role, method="", credential_id="", pseudonym="", tenant=turn.tenant
    )
