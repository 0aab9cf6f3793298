"""JSON text -> one object, read in the only way that there is.

Refuses a name that stands twice: two readers could take it for two things.
"""

import json
from collections.abc import Sequence
from typing import Any, NoReturn


def read_object(text: bytes) -> dict[str, Any]:
    """The object of a text in UTF-8.

    Raises:
        ValueError: it is none, is too deep, says a name twice, or holds what JSON does not (NaN, Infinity).
    """
    try:
        found = json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 - the text is wrong, not the program
    return found  # pyright: ignore[reportUnknownVariableType] - foreign JSON


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
