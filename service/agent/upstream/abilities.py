"""What each of the vendor's models takes: how it thinks when asked to, and what its prompt cache is worth.

Refuses to guess what a model that is not here can do: it is given nothing that another might refuse.
Sources: the vendor's model pages and guides to prompt caching and thinking, 2026-11.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

Thinks = Literal["adaptive", "budget", "never"]
"""Decides itself how long; is given a number of tokens; or is not known to."""

LEAST_BUDGET = 1_024
"""Tokens: the vendor refuses fewer for thinking."""

SNAPSHOT = re.compile(r"-\d{8}$", re.ASCII)


class Ability(Struct, frozen=True, kw_only=True):
    """One model's: `cache_least` is the shortest prefix in tokens that its cache keeps."""

    thinks: Thinks = "never"
    cache_least: int = 1_024


UNKNOWN = Ability()

MODELS: Mapping[str, Ability] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                *("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"),
                *("claude-fable-5-2", "claude-fable-5-1", "claude-opus-5"),
            ),
            Ability(thinks="adaptive", cache_least=512),
        ),
        "claude-sonnet-5": Ability(thinks="adaptive", cache_least=1_024),
        "claude-haiku-4-5": Ability(thinks="budget", cache_least=4_096),
    }
)


def of(model: str) -> Ability:
    """What a model takes, or the one it is a dated snapshot of."""
    return MODELS.get(model) or MODELS.get(SNAPSHOT.sub("", model)) or UNKNOWN
