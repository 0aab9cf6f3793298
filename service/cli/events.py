"""parley audit list, show, export: audit events, straight from the database.

Refuses to look unseen: showing content leaves a row with the name of the machine's user, as the routes do.
"""

import argparse
import sys

from service.audit.access import Look
from service.cli import asking, state
from service.cli.asking import Desk, asked
from service.cli.options import add_tenant, text
from service.cli.proof import proving
from service.cli.terminal import encoded, plain, printed
from service.store.event import Event
from service.web import events, export
from service.web.cursor import Cursors
from service.web.events import EventPage, question_of
from service.web.parameters import ExportQuery, Nothing, PageQuery

QUERY_LENGTH = 60
"""Characters of a query that a line shows."""


def add_list(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _list, PageQuery)
    add_tenant(parser)


def add_show(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _show, Nothing)
    parser.add_argument("id", type=text, help="the event's id")


def add_export(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _export, ExportQuery)
    add_tenant(parser)


async def _list(desk: Desk) -> int:
    query = asked(PageQuery, desk.given)
    filters, question = query.filters(), question_of(query.filters(), desk.given.tenant)
    after = events.read(_cursors(desk), query.cursor, question)
    page = await desk.database.questions_of(asking.whose(desk)).events(filters, query.limit, after)
    await asking.note(desk, Look.READ, "parley audit list", filters)
    shown = await desk.database.opening.page(page.events)
    told = EventPage(tuple(shown), events.written(_cursors(desk), page, question))
    asking.show(desk, told, lambda: "\n".join(map(_line, told.events)) or "no events")
    return 0


async def _show(desk: Desk) -> int:
    found = await desk.database.questions.event(desk.given.id)
    if found is None:
        sys.stderr.write("parley: there is no audit event of that id\n")
        return 1
    await asking.note(desk, Look.READ, "parley audit show", found.id)
    opened = await desk.database.opening.one(found)
    asking.show(desk, opened, lambda: encoded(opened, indent=2))
    return 0


async def _export(desk: Desk) -> int:
    query = asked(ExportQuery, desk.given)
    async with proving(desk) as prover:
        found = prover.export(query.filters(), salted=True, whose=asking.whose(desk))
        pages = desk.database.opening.pages(found)
        first = await anext(pages)
        await asking.note(desk, Look.EXPORT, "parley audit export", query.filters())
        async for piece in export.told(export.FORMS[query.format], first, pages, lambda event: event):
            sys.stdout.write(printed(piece))
    return 0


def _cursors(desk: Desk) -> Cursors:
    return Cursors(state.derived(desk.settings).cursors)


def _line(event: Event) -> str:
    query = plain(event.metadata.get("query") or event.metadata.get("content") or "")[:QUERY_LENGTH]
    told = (event.id, event.created_at, event.action, event.outcome, event.category, event.actor_id)
    return "  ".join((*map(plain, told), f"${event.cost:.6f}", query)).rstrip()
