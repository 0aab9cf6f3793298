"""Puts together what tells of queries, and the pages that show it.

Refuses to answer anything itself.
"""

from litestar.handlers import HTTPRouteHandler

from config.settings import Settings
from service.auth.derive import Derived
from service.store.database import Database
from service.web.archive import Archive
from service.web.console import queries, runbook
from service.web.console.pages import Pages
from service.web.cursor import Cursors
from service.web.desk import Desk
from service.web.queries import Lines, Queries


def telling_routes(
    pages: Pages, settings: Settings, database: Database, derived: Derived, archive: Archive, desk: Desk
) -> list[HTTPRouteHandler]:
    """The routes of a query's life, and of the advice it leads to."""
    told = Queries(
        questions=database.questions,
        opening=database.opening,
        opinions=database.feedback,
        stands=archive.auditing.lookup.prover.standing,
        cursors=Cursors(derived.cursors),
        note=desk.note,
        clock=desk.clock,
        lines=Lines(settings.logs.sample_rate, settings.logs.query),
    )
    return [*queries.routes(pages, told, desk), runbook.route(pages, desk)]
