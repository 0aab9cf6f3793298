"""A recorded turn -> the most that it may have asked for, which is what it was let in by.

Refuses to pass for exact: the record has no prompt, so the length of its text is estimated by its tokens.
"""

from functools import lru_cache

from config.settings import Settings
from service.agent.cost import Prices
from service.agent.worst import FRAME_TOKENS
from service.limits.need import Need
from service.limits.suggest import Weigh
from telemetry.record import Usage

BYTES = 4
"""Of a token's text, about: a turn is let in as if each byte were a token."""


def scales(settings: Settings) -> Weigh:
    """How a turn is weighed by what it took: the record has no prompt, so that its text is estimated."""
    prices, answer = Prices.load(), settings.model.max_tokens

    @lru_cache(maxsize=10_000)
    def need(model: str, tokens: int) -> Need:
        given = FRAME_TOKENS + BYTES * tokens
        usage = Usage(input_tokens=given, output_tokens=answer, cache_write_tokens=given)
        least = prices.price(model, usage).cost_micros
        return Need(model=model, tokens=given + answer, cost_micros=least, least_micros=least)

    return lambda turn: need(turn.model or "", turn.tokens)
