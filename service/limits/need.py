"""What a turn may need at the worst, as far as limits ask for it.

Refuses an estimate: what is admitted by these numbers can never turn out to be more.
"""

from msgspec import Struct


class Need(Struct, frozen=True, kw_only=True):
    """The worst case of one turn.

    `tokens` are those of its first model call, input and output. `cost_micros` is the whole turn's cost in
    millionths of a US dollar, with all the rounds it may take; `least_micros` that of its first call alone,
    below which it is not begun.
    """

    model: str
    tokens: int
    cost_micros: int
    least_micros: int
