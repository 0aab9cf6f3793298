"""parley audit: list, show and export audit events, straight from the database; and the verbs of other files.

Refuses to look unseen: showing content leaves a row with the name of the machine's user, as the routes do.
"""

import sys
from typing import Any

import msgspec

from service.audit.access import Look
from service.auth.derive import Derived
from service.cli import asking, erase, retain, state, stats, verify
from service.cli.asking import Desk, asked, plain
from service.store.event import Event
from service.web import events, export
from service.web.cursor import Cursors
from service.web.events import EventPage, question_of
from service.web.parameters import ExportQuery, Nothing, PageQuery, StatsQuery

QUERY_LENGTH = 60
"""Characters of a query that a line shows."""


def add(commands: Any) -> None:
    """Add the command's parser."""
    said = "look at the audit"
    verbs = commands.add_parser("audit", help=said, description=said).add_subparsers(
        required=True, metavar="VERB"
    )
    asking.verb(verbs, "list", "list events, newest first", _list, PageQuery)
    show = asking.verb(verbs, "show", "show one event", _show, Nothing)
    show.add_argument("id", type=asking.text, help="the event's id")
    asking.verb(verbs, "export", "write all events to stdout, newest first", _export, ExportQuery)
    asking.verb(verbs, "stats", "count events by kind and outcome, and what waits", stats.show, StatsQuery)
    for each in (verify, erase, retain):
        each.add(verbs)


async def _list(desk: Desk) -> int:
    query = asked(PageQuery, desk.given)
    filters, question = query.filters(), question_of(query.filters())
    after = events.read(_cursors(desk), query.cursor, question)
    page = await desk.database.questions.events(filters, query.limit, after)
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
    asking.show(desk, opened, lambda: _pretty(opened))
    return 0


async def _export(desk: Desk) -> int:
    query = asked(ExportQuery, desk.given)
    async with verify.proving(desk) as prover:
        pages = desk.database.opening.pages(prover.export(query.filters(), salted=True))
        first = await anext(pages)
        await asking.note(desk, Look.EXPORT, "parley audit export", query.filters())
        async for piece in export.told(export.FORMS[query.format], first, pages, lambda event: event):
            sys.stdout.write(piece)
    return 0


def _cursors(desk: Desk) -> Cursors:
    return Cursors(Derived(state.root(desk.settings)).cursor)


def _line(event: Event) -> str:
    query = plain(event.metadata.get("query") or event.metadata.get("content") or "")[:QUERY_LENGTH]
    told = (event.id, event.created_at, event.action, event.outcome, event.category, event.actor_id)
    return "  ".join((*map(plain, told), f"${event.cost:.6f}", query)).rstrip()


def _pretty(event: Event) -> str:
    return msgspec.json.format(msgspec.json.encode(event), indent=2).decode()
