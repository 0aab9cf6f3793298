"""All routes of the console, over one set of pages.

Refuses to make pages: each room has its own file.
"""

from litestar.handlers import HTTPRouteHandler

from service.auth.authenticator import Authenticator
from service.web.console import chat, entrance, keys, sessions, settings
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
