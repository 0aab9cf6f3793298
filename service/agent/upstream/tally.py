"""Tokens of one answer: as the API reports them, and estimated where it breaks off before it does.

Refuses counts that can be none: money is made of them.
"""

from collections.abc import Mapping
from typing import Any

from service.agent.model import Counted
from telemetry.record import Usage, UsageSource

BYTES_A_TOKEN = 3
"""Of an answer that broke off: fewer than English has, so that a budget is rather charged too much."""
MOST_TOKENS = 1_000_000_000
OUTPUT = "output_tokens"
EPHEMERAL_1H = "ephemeral_1h_input_tokens"


class Tally:
    """What is known so far; `source` says how."""

    def __init__(self) -> None:
        self.source = UsageSource.NONE
        self._reported: dict[str, Any] = {}
        self._bytes = 0

    def heard(self, text: str) -> None:
        """A piece of the answer came, of whatever kind."""
        self._bytes += len(text if text.isascii() else text.encode("utf-8", "replace"))

    def begins(self, usage: Any) -> Counted:
        """The report at an answer's start: its input; what it says of output is a placeholder."""
        return self._count(usage, UsageSource.ESTIMATED)

    def ends(self, usage: Any) -> Counted:
        """A report at its end: cumulative, so that it replaces what was said before."""
        final = usage.get(OUTPUT) is not None
        return self._count(usage, UsageSource.REPORTED if final else self.source)

    def estimate(self, max_tokens: int) -> Counted | None:
        """What an answer that broke off took, after what was heard of it; None where it is known already."""
        if self.source is not UsageSource.ESTIMATED:
            return None
        output = min(max_tokens, -(-self._bytes // BYTES_A_TOKEN))
        return Counted(_usage(self._reported | {OUTPUT: output}), self.source)

    def _count(self, usage: Any, source: UsageSource) -> Counted:
        told = {key: value for key, value in usage.items() if value is not None}
        counted = Counted(_usage(self._reported | told), source)
        self._reported |= told
        self.source = source
        return counted


def _usage(reported: Mapping[str, Any]) -> Usage:
    """Count cached tokens as input, as the GenAI conventions say; the API reports them beside it."""
    read = _number(reported, "cache_read_input_tokens")
    written = _number(reported, "cache_creation_input_tokens")
    return Usage(
        input_tokens=_number(reported, "input_tokens") + read + written,
        output_tokens=_number(reported, OUTPUT),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=_number(reported.get("cache_creation") or {}, EPHEMERAL_1H),
    )


def _number(reported: Mapping[str, Any], name: str) -> int:
    number = reported.get(name, 0)
    if not isinstance(number, int) or not 0 <= number <= MOST_TOKENS:
        raise ValueError(f"{name} is no count of tokens.")
    return number
