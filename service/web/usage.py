"""GET /api/v1/usage: what turns came to, by user, role, model, tool or day.

Refuses other people's numbers to those who may see only their own: they get a sum of one. Other tenants'
are nobody's.
"""

from litestar import get
from litestar.handlers import HTTPRouteHandler

from service.auth.permissions import Action, may, require
from service.store.filters import Filters
from service.store.questions import Questions
from service.store.tenancy import Tenanted
from service.web.desk import Asking, Desk
from service.web.parameters import UsageQuery, read
from service.web.reports import UsageReport, report
from telemetry.record import Caller

PATH = "/api/v1/usage"


def routes(questions: Tenanted[Questions], desk: Desk) -> list[HTTPRouteHandler]:
    """The route."""

    @get(PATH)
    async def usage(request: Asking) -> UsageReport:
        caller = await desk.admit(request, Action.OWN)
        return await usage_of(questions, caller, read(UsageQuery, request.scope["query_string"]))

    return [usage]


async def usage_of(questions: Tenanted[Questions], caller: Caller, query: UsageQuery) -> UsageReport:
    """The sums a caller may have: their own, or those of everybody in their tenant.

    Raises:
        Forbidden, DatabaseError: there are none.
    """
    require(caller, Action.OWN)
    actor = None if may(caller, Action.USAGE_ALL) else caller.user_id
    meant = Filters(actor=actor, **query.span())
    return report(await questions.within(caller.tenant).usage(query.group_by, meant))
