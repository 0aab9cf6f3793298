"""What the asking commands share: options made of a route's parameters, and a database to ask.

Refuses what the route refuses, by the same words.
"""

import argparse
import asyncio
import getpass
import re
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, structs

from config.settings import Settings
from service.audit.access import Access, Look, row_of
from service.audit.deed import Doer
from service.cli import state
from service.errors import DatabaseError
from service.store.database import Database, open_database
from service.store.filters import Filters, said
from service.store.probe import file_of
from service.web.parameters import take
from telemetry import ids
from telemetry.recorder import microseconds

Query = TypeVar("Query", bound=Struct)

HELP = {
    "from": "a date or a time of ISO 8601; belongs to the span",
    "to": "the same; does not belong to it",
    "q": "words of the query",
    "entityType": "AGENT_QUERY, AUDIT_ACCESS and so on, or all",
    "limit": "at most so many (1 to 200)",
    "cursor": "go on after a page: its nextCursor",
    "groupBy": "user, role, model, tool or day",
    "format": "jsonl or csv",
}


class Desk(Struct, frozen=True):
    """What a command works with."""

    database: Database
    settings: Settings
    given: argparse.Namespace


Work = Callable[[Desk], Awaitable[int]]


def verb(
    verbs: Any, name: str, said: str, work: Work, kind: type[Struct], *, makes_database: bool = False
) -> argparse.ArgumentParser:
    """Add a command that asks the database by the parameters of a route; most need one that is there."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=said, description=said)
    parser.add_argument("--json", action="store_true", help="print JSON")
    for each in structs.fields(kind):
        name = each.encode_name
        parser.add_argument(option(name), dest=name, type=text, help=HELP.get(name))
    parser.set_defaults(run=partial(_run, work), makes_database=makes_database)
    return parser


def text(given: str) -> str:
    """An argument in UTF-8; any other comes as surrogates, which neither a database nor a terminal takes."""
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError("not UTF-8") from error
    return given


def option(name: str) -> str:
    """The option of a parameter: `traceId` is `--trace-id`."""
    return "--" + re.sub("[A-Z]", lambda found: f"-{found[0].lower()}", name)


def asked(kind: type[Query], given: argparse.Namespace) -> Query:
    """What was asked for.

    Raises:
        InvalidRequest: naming every option that is wrong.
    """
    names = (each.encode_name for each in structs.fields(kind))
    pairs = ((name, getattr(given, name)) for name in names)
    return take(kind, [(name, value) for name, value in pairs if value is not None])


async def note(desk: Desk, look: Look, route: str, read: str | Filters) -> None:
    """Keep in the audit that its content is about to be shown, and to which user of this machine."""
    if not desk.settings.audit.enabled:
        return
    filters = read if isinstance(read, Filters) else None
    request_id = ids.uuid7()
    access = Access(
        look=look,
        route=route,
        entity_id=read if isinstance(read, str) else request_id,
        filters=said(await desk.database.questions.unnamed(filters)) if filters else {},
        caller=None,
        request_id=request_id,
        trace_id=None,
        at=microseconds(),
        searched=filters.q if filters else None,
        system_user=_system_user(),
    )
    await desk.database.audit.append([row_of(access)])


def doer() -> Doer:
    """Who uses the command line, and that it is now."""
    return Doer(
        caller=None, request_id=ids.uuid7(), trace_id=None, at=microseconds(), system_user=_system_user()
    )


def show(desk: Desk, data: Any, words: Callable[[], str]) -> None:
    """Print JSON where it is asked for, else words."""
    sys.stdout.write((msgspec.json.encode(data).decode() if desk.given.json else words()) + "\n")


def plain(value: object) -> str:
    """A value for a terminal: nothing in it moves a cursor."""
    text = "-" if value is None else str(value)
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)


def _run(work: Work, given: argparse.Namespace) -> int:
    return asyncio.run(_with_database(work, given))


async def _with_database(work: Work, given: argparse.Namespace) -> int:
    settings = state.settings()
    path = file_of(settings.database_url)
    if path and not path.exists() and not given.makes_database:
        raise DatabaseError(
            f"There is no database at {path} yet; `parley serve` or `parley migrate` makes it."
        )
    database = await open_database(settings.database_url, state.vault(settings))
    try:
        return await work(Desk(database, settings, given))
    finally:
        await database.close()


def _system_user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return None
