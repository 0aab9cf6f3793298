"""How much a caller may ask for: rules, a store for what is counted, and the gate that applies the mode.

Refuses to raise: a decision is a fact, what follows from a denial is the turn's affair.
"""

from service.limits.gate import Gate, Standings
from service.limits.memory import MemoryStore
from service.limits.rules import Rules

__all__ = ["Gate", "MemoryStore", "Rules", "Standings"]
