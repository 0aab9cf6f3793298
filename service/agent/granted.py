"""What a turn is granted before it asks the model, and what it asks for while it runs.

Refuses to know how: limits and budgets do it, or nobody where they are off.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from service.errors import BudgetSpent, Refusal
from service.limits.need import Need
from telemetry.record import Caller, RateLimit, Reserved

Weigh = Callable[[], Need]


class Allowing(Protocol):
    """What a turn that runs has to be allowed."""

    async def call(self, weigh: Weigh, spent_micros: int) -> None:
        """Let it ask the model once more; raises BudgetSpent or TokensSpent."""
        ...

    async def model(self, name: str) -> bool:
        """Whether it may ask another model than the one it was let in for; counts it where it may."""
        ...

    async def tool(self, name: str, limit: int | None) -> None:
        """Let it run a tool, so often in a window unless settings say otherwise; raises ToolLimited."""
        ...


class Ceiling:
    """What a turn is granted, within what one turn may cost: micro-dollars, None for anything."""

    def __init__(self, granted: Allowing, most_micros: int | None) -> None:
        self._granted, self._most = granted, most_micros
        self.model, self.tool = granted.model, granted.tool

    async def call(self, weigh: Weigh, spent_micros: int) -> None:
        """Let it ask the model once more; raises BudgetSpent or TokensSpent."""
        if self._most is not None and spent_micros + weigh().cost_micros > self._most:
            raise BudgetSpent("Another call of the model could cost more than one turn may.")
        await self._granted.call(weigh, spent_micros)


class Grant(Allowing, Protocol):
    """What one turn was granted, until it is closed; see `service.limits.gate.Grant`."""

    @property
    def limit(self) -> RateLimit | None:
        """The decision; None where limits are off."""
        ...

    @property
    def reserved(self) -> Reserved | None:
        """Money put aside."""
        ...

    @property
    def refusal(self) -> Refusal | None:
        """What the turn is turned away with."""
        ...

    async def close(self, tokens: Sequence[int], charged_micros: int) -> None:
        """Give back what was not used: `tokens` each model call took, and what the turn costs."""
        ...


class Gate(Protocol):
    """The limits and budgets, with their mode; see `service.limits.gate.Gate`."""

    async def knock(self, address: str) -> RateLimit | None:
        """Count a request of an address; the decision where that is no admission."""
        ...

    async def admit(self, caller: Caller, turn_id: str, opened_at: int, model: str, weigh: Weigh) -> Grant:
        """Decide one turn; raises BudgetUnavailable."""
        ...

    async def peek(self, caller: Caller) -> RateLimit | None:
        """Say how the caller stands; costs nothing."""
        ...
