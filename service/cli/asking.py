"""What the asking commands share: a database to ask, by what a route takes.

Refuses what the route refuses, by the same words.
"""

import argparse
import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct, structs

from config.settings import Settings
from service.audit.access import Access, Look, row_of
from service.audit.deed import Doer
from service.cli import state
from service.cli.options import add_json, add_parameter
from service.cli.terminal import encoded
from service.errors import DatabaseError
from service.store.database import Database, open_database
from service.store.filters import Filters, said
from service.store.probe import file_of
from service.store.tenancy import EVERYBODY, Whose
from service.web.parameters import take
from telemetry import ids
from telemetry.recorder import microseconds

Query = TypeVar("Query", bound=Struct)


class Desk(Struct, frozen=True):
    """What a command works with."""

    database: Database
    settings: Settings
    given: argparse.Namespace


Work = Callable[[Desk], Awaitable[int]]


def ask(parser: argparse.ArgumentParser, work: Work, kind: type[Struct], *, makes: bool = False) -> None:
    """Have a command ask the database by the parameters of a route; most need one that is there."""
    add_json(parser)
    for each in structs.fields(kind):
        add_parameter(parser, each.encode_name)
    parser.set_defaults(run=partial(run, work, makes=makes))


def whose(desk: Desk) -> Whose:
    """Whom a command that reads is about: the tenant that it was given, else everybody."""
    return getattr(desk.given, "tenant", None) or EVERYBODY


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
    questions = desk.database.questions_of(whose(desk))
    request_id = ids.uuid7()
    access = Access(
        look=look,
        route=route,
        entity_id=read if isinstance(read, str) else request_id,
        filters=said(await questions.unnamed(filters)) if filters else {},
        caller=None,
        request_id=request_id,
        trace_id=None,
        at=microseconds(),
        searched=filters.q if filters else None,
        system_user=_system_user(),
    )
    await desk.database.audit.append([row_of(access)])


def doer(tenant: str | None = None) -> Doer:
    """Who uses the command line, in which tenant, and that it is now."""
    return Doer(
        caller=None,
        request_id=ids.uuid7(),
        trace_id=None,
        at=microseconds(),
        system_user=_system_user(),
        tenant=tenant,
    )


def show(desk: Desk, data: Any, words: Callable[[], str]) -> None:
    """Print JSON where it is asked for, else words."""
    sys.stdout.write((encoded(data) if desk.given.json else words()) + "\n")


def run(work: Work, given: argparse.Namespace, *, makes: bool = False) -> int:
    """Do the work with the database; `makes` allows that none is there yet."""
    return asyncio.run(_with_database(work, given, makes=makes))


async def _with_database(work: Work, given: argparse.Namespace, *, makes: bool) -> int:
    settings = state.settings()
    path = file_of(settings.database_url)
    if path and not path.exists() and not makes:
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
