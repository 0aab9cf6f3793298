"""/console/chat: the page that a person asks on; what it does, it does by the API's own routes.

Refuses to know anything that the API would not tell the same caller.
"""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from service.auth.permissions import Action
from service.web.console.pages import Pages
from service.web.console.queries import NAMED
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, read

PATH = "/console/chat"


def route(pages: Pages, desk: Desk) -> HTTPRouteHandler:
    """The route of the page."""
    known = pages.installation

    @get(PATH, include_in_schema=False)
    async def chat(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.CHAT)
        read(Nothing, request.scope["query_string"])
        told = {
            "models": tuple(known.models(caller.role)),
            "simulated": known.simulated,
            "traceUrl": known.trace_url,
            "turnUrl": NAMED,
        }
        return pages.show("chat", caller, PATH, told=told)

    return chat
