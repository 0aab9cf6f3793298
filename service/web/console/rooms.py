"""All routes of the console, over one set of pages.

Refuses to make pages: each room has its own file.
"""

from litestar.handlers import HTTPRouteHandler

from service.auth.authenticator import Authenticator
from service.web.console import chat, entrance
from service.web.console.pages import Pages
from service.web.desk import Desk


def routes(pages: Pages, door: Authenticator, desk: Desk) -> list[HTTPRouteHandler]:
    """The console's routes."""
    return [pages.shelf.route(), *entrance.routes(pages, door, desk), chat.route(pages, desk)]
