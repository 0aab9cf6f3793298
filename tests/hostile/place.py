"""One place that takes a word: the request that is made of it, and where the contract puts it.

Refuses to send anything.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

Asked = Mapping[str, Any]
"""What httpx is given; `method` and `url` are always there."""
Make = Callable[[str], Asked]


class Place(Struct, frozen=True):
    """A request made of a word, and the sinks where that word may then be found."""

    make: Make
    may: frozenset[str]


def place(may: str, make: Make) -> Place:
    """A place whose words may be in these sinks."""
    return Place(make, frozenset(may.split()))


def get(url: str, **more: Any) -> Asked:
    """What is asked by GET."""
    return {"method": "GET", "url": url, **more}
