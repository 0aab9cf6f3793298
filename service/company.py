"""How long something that is ready waits for company, so that one way to the disk is for several.

Refuses to keep a lone one waiting.
"""

EACH, LONGEST = 0.0002, 0.01
"""Seconds for each other that is under way, and at most: an answer among many waits longer anyway."""


def patience(under_way: int) -> float:
    """Seconds, where so many are under way, itself included."""
    return min(EACH * max(0, under_way - 1), LONGEST)
