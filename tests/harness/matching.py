"""Choosing facts by some of their values.

Refuses to take an absent name for None: what is wanted must be there.
"""

from collections.abc import Mapping
from typing import Any


def matches(fact: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a fact has all the wanted names, each with an equal value."""
    return all(name in fact and fact[name] == value for name, value in wanted.items())
