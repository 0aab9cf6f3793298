"""All routes of the console, over one set of pages.

Refuses to make pages: each room has its own file.
"""

from litestar.handlers import HTTPRouteHandler

from service.auth.authenticator import Authenticator
from service.web.archive import Archive
from service.web.console import chat, entrance, erase, event, events, keys, sessions, settings, verify
from service.web.console.offices import Offices
from service.web.console.pages import Pages
from service.web.desk import Desk


def routes(pages: Pages, door: Authenticator, desk: Desk, offices: Offices) -> list[HTTPRouteHandler]:
    """The console's routes."""
    return [
        pages.shelf.route(),
        *entrance.routes(pages, door, desk),
        chat.route(pages, desk),
        settings.route(pages, offices.rules, desk),
        *keys.routes(pages, offices.keys, desk),
        *sessions.routes(pages, offices.sessions, door, desk),
    ]


def audit_routes(pages: Pages, archive: Archive, desk: Desk) -> list[HTTPRouteHandler]:
    """The routes of the audit's pages."""
    return [
        events.route(pages, archive.auditing.search, desk),
        event.route(pages, archive.auditing.lookup, desk),
        *verify.routes(pages, archive, desk),
        *erase.routes(pages, archive.erasing, desk),
    ]
