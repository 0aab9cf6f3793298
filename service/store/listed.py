"""A list of texts as one argument of a statement, for SQLite and PostgreSQL.

Refuses to write values into the statement: any number of them is one argument.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType

import msgspec
from piccolo.querystring import QueryString

from service.store.engine import Plain

LISTS: Mapping[str, str] = MappingProxyType(
    {
        "sqlite": "SELECT value FROM json_each({})",
        "postgres": "SELECT json_array_elements_text({}::json)",
    }
)


def among(sql: str, dialect: str, texts: Iterable[str]) -> Plain:
    """A statement with these texts in the place of its `{list}`, and no other arguments."""
    return Plain(_with_list(sql, dialect), (_told(texts),))


def listed(dialect: str, texts: Iterable[str]) -> QueryString:
    """A subquery that gives these texts; none may hold what `storable` writes out."""
    return QueryString(LISTS[dialect], _told(texts))


@cache
def _with_list(sql: str, dialect: str) -> str:
    return sql.replace("{list}", LISTS[dialect])


def _told(texts: Iterable[str]) -> str:
    return msgspec.json.encode(tuple(texts)).decode()
