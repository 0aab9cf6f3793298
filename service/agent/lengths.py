"""How long parts of a prompt are, as sent. Of tools that is kept: they are the same from turn to turn.

Refuses to keep much: a few sets of tools, by who they are and not by what they say.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

MOST = 64
"""Sets of tools: one for each role, and those of a while ago."""

Tools = Sequence[Mapping[str, Any]]

ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)


def encoded(part: Any) -> int:
    """Bytes of a part as JSON in UTF-8."""
    try:
        return len(msgspec.json.encode(part, enc_hook=str))
    except UnicodeEncodeError:  # half of a surrogate pair
        return len(ENCODER.encode(part).encode("utf-8", "surrogatepass"))


def remembered(measure: Callable[[Tools], int]) -> Callable[[Tools], int]:
    """The same measure, which is taken once of a tuple that nobody changes."""
    known: dict[int, tuple[Tools, int]] = {}

    def measured(tools: Tools) -> int:
        found = known.get(id(tools))
        if found is not None and found[0] is tools:
            return found[1]
        if len(known) >= MOST:
            known.clear()
        taken = measure(tools)
        if isinstance(tools, tuple):
            known[id(tools)] = tools, taken
        return taken

    return measured
