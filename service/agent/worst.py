"""The most that a turn may use: tokens of a call, money of a whole turn.

Refuses to hope: text is counted as one token a byte, and every round that may be taken is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs

from service.agent.cost import Prices
from service.agent.lengths import encoded, remembered
from service.agent.model import Prompt
from service.limits.need import Need
from telemetry.record import Usage

FRAME_TOKENS = 1_024
"""What the API adds to a prompt: marks around messages, and its own words on tools."""
BYTES_A_TOKEN = 3
"""Of the guess whether a prompt is large: fewer than English has."""
MARGIN = 50
"""Part of a counted prompt that is added to it: the vendor calls its count an estimate."""
OTHERS = 2
"""As many tokens may the same text have for a model of another kind: known are 1.3 times as many."""
FILES = ("image", "document")
RESULT_TOKENS = 1_024
"""Of tool results in one round. More is paid out of the rounds that were not taken."""


def input_tokens(prompt: Prompt) -> int:
    """The most tokens a prompt can be: as counted, else no token is less than a byte of its text."""
    bound = FRAME_TOKENS + _length(prompt)
    measured = prompt.measured
    if measured is None:
        return bound
    counted = measured.tokens * (1 if measured.model == prompt.model else OTHERS)
    since = encoded(prompt.messages[measured.messages :])
    return min(bound, FRAME_TOKENS + counted + counted // MARGIN + since)


def guess(prompt: Prompt) -> int:
    """About how many tokens a prompt has, where nobody counted them."""
    return _length(prompt) // BYTES_A_TOKEN


def of_call(prompt: Prompt, prices: Prices) -> Need:
    """What one call may need."""
    given = input_tokens(prompt)
    cost = _price(prices, prompt, given)
    return Need(model=prompt.model, tokens=given + prompt.max_tokens, cost_micros=cost, least_micros=cost)


def of_turn(prompt: Prompt, prices: Prices, rounds: int, fallbacks: Sequence[str] = ()) -> Need:
    """What a turn may need that asks its tools in so many rounds; each round's words are the next's input.

    Where models stand in, the dearest way counts: those asked in vain have read the prompt.
    """
    ways: list[int] = []
    given, vain = input_tokens(prompt), 0
    for model in (prompt.model, *fallbacks):
        asked = structs.replace(prompt, model=model)
        read = given if model == prompt.model else input_tokens(asked)
        ways.append(vain + sum(_rounds(asked, prices, read, rounds)))
        vain += _price(prices, structs.replace(asked, max_tokens=0), read)
    return Need(
        model=prompt.model,
        tokens=given + prompt.max_tokens,
        cost_micros=max(ways),
        least_micros=_price(prices, prompt, given),
    )


def _rounds(prompt: Prompt, prices: Prices, given: int, rounds: int) -> Sequence[int]:
    grown = prompt.max_tokens + RESULT_TOKENS
    return [_price(prices, prompt, given + taken * grown) for taken in range(rounds + 1)]


def _price(prices: Prices, prompt: Prompt, given: int) -> int:
    """The dearer of reading the input and of writing it into a cache."""
    plain = Usage(input_tokens=given, output_tokens=prompt.max_tokens)
    cached = Usage(input_tokens=given, output_tokens=prompt.max_tokens, cache_write_tokens=given)
    return max(prices.price(prompt.model, usage).cost_micros for usage in (plain, cached))


def _length(prompt: Prompt) -> int:
    """Bytes of all that is sent."""
    parts = (prompt.system, _without_files(prompt), prompt.schema)
    return prompt.attached_tokens + sum(map(encoded, parts)) + _of_tools(prompt.tools)


def _without_files(prompt: Prompt) -> Sequence[Mapping[str, Any]]:
    """The messages without what is attached to them, of which bytes say nothing."""
    return [_plain(message) for message in prompt.messages] if prompt.attached_tokens else prompt.messages


def _plain(message: Mapping[str, Any]) -> Mapping[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return message
    return {**message, "content": [block for block in content if block["type"] not in FILES]}


@remembered
def _of_tools(tools: Sequence[Mapping[str, Any]]) -> int:
    return encoded(tools)
