"""Shortens every duration in a text, so that a test of the real stack need not wait for hours.

Refuses a scale that is not above 0. Counts, shares and latencies stay as they are.
"""

import re

MILLISECONDS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
UNITS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}

_seconds = re.compile(r"\bseconds\((\d+)([smhdw])\)")
_duration = re.compile(r"\b(\d+)([smhdw])\b")


def scaled(text: str, scale: float) -> str:
    """The same text with `5m` as `5s` at scale 60, and `seconds(1d)` as a number of seconds."""
    if scale <= 0:
        raise ValueError("the scale is above 0")
    text = _seconds.sub(lambda found: f"{_milliseconds(found, scale) / 1_000:.15g}", text)
    return text if scale == 1 else _duration.sub(lambda found: _said(_milliseconds(found, scale)), text)


def _milliseconds(found: re.Match[str], scale: float) -> int:
    return max(1, round(int(found[1]) * MILLISECONDS[found[2]] / scale))


def _said(milliseconds: int) -> str:
    unit = next(unit for unit, size in UNITS.items() if milliseconds % size == 0)
    return f"{milliseconds // UNITS[unit]}{unit}"
