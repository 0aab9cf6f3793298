"""/console/operations: the live board, drawn from the same snapshot that the API gives.

Refuses to know more than that: without a script it is the tables of one moment, with one it follows.
"""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from service.auth.permissions import Action
from service.web.console.pages import Pages
from service.web.desk import Asking, Desk
from service.web.operations import PATH as API
from service.web.operations import Lookout, OperationsQuery
from service.web.operations.period import Period
from service.web.parameters import read

PATH = "/console/operations"
PERIODS = {
    Period.QUARTER: "15 minutes",
    Period.HOUR: "1 hour",
    Period.DAY: "24 hours",
    Period.WEEK: "7 days",
}


def route(pages: Pages, lookout: Lookout, desk: Desk) -> HTTPRouteHandler:
    """The route of the page."""

    @get(PATH, include_in_schema=False)
    async def operations(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.OPERATIONS)
        query = read(OperationsQuery, request.scope["query_string"])
        told = await lookout.board.told(query.period, lookout.naming(caller), caller.tenant)
        api = f"{API}?period={query.period.value}"
        return pages.show(
            "operations", caller, PATH, board=told.report, period=query.period, periods=PERIODS, api=api
        )

    return operations
