"""The one place where a tenant goes into a question: what is asked of a tenant's tables sees its rows alone.

Refuses to rely on whoever writes a statement: each name of a tenant's table stands for its rows within the
statement, so that none can be written that sees another's.
"""

import re
import sqlite3
from collections.abc import Mapping
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from msgspec import Struct
from piccolo.querystring import QueryString

from telemetry.person import SEPARATOR, parted

T_co = TypeVar("T_co", covariant=True)


class Everybody(Enum):
    """Stands where a tenant is not asked for: the log as a whole, and commands of whoever runs the house."""

    EVERYBODY = "everybody"


EVERYBODY = Everybody.EVERYBODY
Whose = str | None | Everybody
"""A tenant, None for the one without a name, or EVERYBODY."""


class Tenanted(Protocol[T_co]):
    """What can be asked only once it is said for whom."""

    def within(self, tenant: str | None, /) -> T_co:
        """The same, of one tenant alone."""
        ...


class Rows(Struct, frozen=True):
    """Which rows of a table are a tenant's: one with a name, or the one without. `{}` is an argument."""

    named: str
    unnamed: str


SEALED = Rows(
    "@likely(tenant = {}@part)",
    "NOT EXISTS (SELECT 1 FROM @main.audit_event WHERE tenant IS NOT NULL) OR tenant IS NULL",
)
"""By what is sealed in the event itself. Where no tenant has a name at all no row is looked at for it."""
PERSONAL = Rows("user_id @bytes >= {} AND user_id @bytes < {}", "@position(user_id, @unit) = 0")
"""By the person that a row is about; a tenant's persons are together in the order of their names."""
ACCOUNTS = Rows(
    "scope <> 'user' OR subject IN (SELECT id FROM audit_subject WHERE user_id >= {} AND user_id < {})",
    "scope <> 'user' OR subject IN (SELECT id FROM audit_subject WHERE @position(user_id, @unit) = 0)",
)
"""By whom an account is about; those of roles and of all are the installation's."""

SHADOWED: Mapping[str, Rows] = MappingProxyType(
    {
        "audit_event": SEALED,
        '"AuditEvent"': SEALED,
        "audit_hold": PERSONAL,
        "api_key": PERSONAL,
        "conversation": PERSONAL,
        "idempotency_claim": PERSONAL,
        "session": PERSONAL,
        "approval": PERSONAL,
        "feedback": PERSONAL,
        "budget_ledger": ACCOUNTS,
    }
)
"""The tenants' tables. What an event said, its tools and arguments, and whom it is about are asked for by an
event or a person only, which are the tenant's already."""

DIALECTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "sqlite": {
            "@main.": "main.",
            "@position": "instr",
            "@unit": "char(31)",
            " @bytes": "",
            "@likely": "likelihood",
            "@part": ", 0.05",
        },
        "postgres": {
            "@main.": "",
            "@position": "strpos",
            "@unit": "chr(31)",
            "@bytes": 'COLLATE "C"',
            "@likely": "",
            "@part": "",
        },
    }
)
"""A table's own name where another stands for it already, how a separator is found, that names are in the
order of their bytes whatever the language of the server, and that a tenant may have a good part of all rows:
SQLite does not count, and would go through them for a filter that has an index of few; see filters."""
AT_ONCE = "" if sqlite3.sqlite_version_info < (3, 35) else "NOT MATERIALIZED "
"""An older SQLite knows no other way."""
NAMES = re.compile(rf"(?<![.\w])(?:{'|'.join(SHADOWED)})(?!\w)")


def bound(asked: QueryString, whose: Whose, dialect: str) -> QueryString:
    """A statement that reads, for a tenant alone; as it is for everybody."""
    if isinstance(whose, Everybody):
        return asked
    named = sorted(set(NAMES.findall(asked.compile_string(engine_type=dialect)[0])))
    if not named:
        return asked
    head = ", ".join(_shadow(table, dialect, named=whose is not None) for table in named)
    values = [value for table in named for value in _values(SHADOWED[table], whose)]
    return QueryString(f"WITH {head} {{}}", *values, asked)


@cache
def _shadow(table: str, dialect: str, *, named: bool) -> str:
    rows = SHADOWED[table]
    sql = f"{table} AS {AT_ONCE}(SELECT * FROM @main.{table} WHERE {rows.named if named else rows.unnamed})"  # noqa: S608 - our own words
    for word, own in DIALECTS[dialect].items():
        sql = sql.replace(word, own)
    return sql


def _values(rows: Rows, tenant: str | None) -> tuple[str, ...]:
    """The tenant itself, or the span of its persons' names."""
    if tenant is None:
        return ()
    return (tenant,) if rows is SEALED else _span_of(tenant)


def _span_of(tenant: str) -> tuple[str, str]:
    """Between which names, this one and not that one, all persons of a tenant are."""
    return f"{tenant}{SEPARATOR}", f"{tenant}{chr(ord(SEPARATOR) + 1)}"


class Reading(Protocol):
    """An engine, as far as it reads."""

    engine_type: str

    async def ask(self, querystring: QueryString) -> list[dict[str, Any]]:
        """The rows of one statement, each by column name; raises DatabaseError."""
        ...


class Engine(Protocol):
    """What reads for anybody."""

    engine_type: str

    async def ask(self, querystring: QueryString, whose: Whose = EVERYBODY) -> list[dict[str, Any]]:
        """The rows of one statement, each by column name; raises DatabaseError."""
        ...


class Bound:
    """An engine, as far as it reads for somebody."""

    def __init__(self, engine: Engine, whose: Whose) -> None:
        self._engine, self._whose = engine, whose
        self.engine_type = engine.engine_type

    async def ask(self, querystring: QueryString) -> list[dict[str, Any]]:
        """The rows of one statement, theirs alone; raises DatabaseError."""
        return await self._engine.ask(querystring, self._whose)


def belongs(person: str, tenant: str | None) -> bool:
    """Whether a person is one of a tenant's."""
    return parted(person)[0] == tenant
