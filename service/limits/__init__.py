"""How often a caller may ask: a policy, a store for its state, and the gate that applies the mode.

Refuses to raise: a decision is a fact, what follows from a denial is the turn's affair.
"""

from service.limits.gate import Gate
from service.limits.limiter import Limiter
from service.limits.memory import MemoryLimiter

__all__ = ["Gate", "Limiter", "MemoryLimiter"]
