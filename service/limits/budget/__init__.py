"""Money that may be spent: what is put aside for a turn, and what is left.

Refuses fractions of a micro-dollar.
"""

from service.limits.budget.purse import Purse
from service.limits.budget.standing import BudgetStanding, Granted

__all__ = ["BudgetStanding", "Granted", "Purse"]
