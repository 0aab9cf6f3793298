"""A list of texts as one argument of a statement, for SQLite and PostgreSQL.

Refuses to write values into the statement: any number of them is one argument.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec
from piccolo.querystring import QueryString

LISTS: Mapping[str, str] = MappingProxyType(
    {
        "sqlite": "SELECT value FROM json_each({})",
        "postgres": "SELECT json_array_elements_text({}::json)",
    }
)


def listed(dialect: str, texts: Iterable[str]) -> QueryString:
    """A subquery that gives these texts; none may hold what `storable` writes out."""
    return QueryString(LISTS[dialect], msgspec.json.encode(tuple(texts)).decode())
