"""A request's headers by name, gathered once for all who look at them.

Refuses two of a name: what came several times is one, as HTTP has it.
"""

from collections.abc import Mapping
from typing import Any

KEY = "parley.headers"
"""Where a request's scope keeps them."""
COOKIE = b"cookie"


def headers_of(scope: Any) -> Mapping[bytes, bytes]:
    """Lower-case name -> value."""
    found: dict[bytes, bytes] | None = scope.get(KEY)
    if found is None:
        found = scope[KEY] = {}
        for said, value in scope["headers"]:
            name = said.lower()  # ASGI's servers have done that; whoever calls without one may not have
            before = found.get(name)
            between = b"; " if name == COOKIE else b", "
            found[name] = value if before is None else before + between + value
    return found


def text_of(scope: Any, name: bytes) -> str | None:
    """A header's value; None where it did not come."""
    value = headers_of(scope).get(name)
    return None if value is None else value.decode("latin-1")
