"""How budgets stand, and what was put aside: what the rest of the service is told of money.

Refuses fractions of a micro-dollar.
"""

from msgspec import Struct

from telemetry.record import Reserved


class BudgetStanding(Struct, frozen=True, kw_only=True):
    """How one budget stands, in micro-dollars; `reset_ms` is the time until its period ends (UTC)."""

    name: str
    limit: int
    spent: int
    reserved: int
    reset_ms: int


class Granted(Struct, frozen=True, kw_only=True):
    """Money put aside; `over` is the budget that was passed where it was put aside all the same."""

    reserved: Reserved
    over: BudgetStanding | None = None
