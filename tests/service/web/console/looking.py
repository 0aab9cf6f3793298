"""The pages about queries alone, over a database of their own and callers who say who they are.

Refuses nothing the desk does not: `X-Caller: user/ROLE[/scope]` is the whole credential.
"""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from service.audit.checkpoints import Sealing
from service.audit.row import AuditRow, row_of
from service.seal.vault import Vault
from service.store.database import NO_KEYS, Database, open_database
from service.web import erasures
from service.web.console import queries, runbook
from service.web.console.installation import Installation
from service.web.console.pages import Pages
from service.web.console.shelf import Shelf
from service.web.cursor import Cursors
from service.web.desk import Desk
from service.web.erasures import Erasing
from service.web.proofs import Prover
from service.web.queries import Lines, Queries
from telemetry.record import TurnRecord
from telemetry.recorder import microseconds
from tests.service.web.asking import KEY, who
from tests.service.web.serving import serving

HTML = "text/html"
ALL_LINES = Lines()
TAG = re.compile(r"<[^>]*>")


class Looked:
    """The pages; `noted` are the looks that the audit was told to keep."""

    def __init__(
        self, database: Database, sealing: Sealing, client: httpx.AsyncClient, noted: list[AuditRow]
    ) -> None:
        self.database, self.sealing, self.client, self.noted = database, sealing, client, noted

    async def keep(self, *records: TurnRecord) -> None:
        """Write the rows of these turns."""
        await self.database.audit.append([row_of(record) for record in records])

    async def get(
        self, path: str, caller: str = "user-1/AUDITEE", accept: str = HTML, **parameters: Any
    ) -> httpx.Response:
        """Ask for a page."""
        headers = {"x-caller": caller, "accept": accept}
        return await self.client.get(path, params=parameters or None, headers=headers)

    async def life(self, record: TurnRecord, caller: str = "user-1/AUDITEE") -> str:
        """The words on a query's page, its markup left out."""
        page = await self.get(f"/console/queries/{record.opening.turn_id}", caller)
        assert page.status_code == 200, page.text
        return words(page.text)

    async def erase(self, user: str) -> None:
        """Forget somebody."""
        body = {"subject": user, "confirm": user}
        headers = {"x-caller": "head/AUDIT_HEAD"}
        assert (await self.client.post(erasures.PATH, json=body, headers=headers)).status_code == 200


def words(markup: str) -> str:
    """The words of a page, with single blanks."""
    return " ".join(TAG.sub(" ", markup).split())


@asynccontextmanager
async def looking(url: str, vault: Vault = NO_KEYS, lines: Lines = ALL_LINES) -> AsyncGenerator[Looked]:
    """Serve the pages in process."""
    database, noted = await open_database(url, vault), []
    sealing = Sealing(database.checkpoints, KEY, (), microseconds)
    desk = Desk(who, noted.append, microseconds)
    pages = Pages(Installation(models=lambda _: (), trace_url="http://jaeger/{traceId}"), Shelf())
    told = Queries(
        questions=database.questions,
        opening=database.opening,
        opinions=database.feedback,
        stands=Prover(database, sealing).standing,
        cursors=Cursors((b"k" * 32,)),
        note=noted.append,
        clock=microseconds,
        lines=lines,
    )
    erasing = erasures.routes(Erasing(database.erasures, lambda _: None), desk)
    routes = [*queries.routes(pages, told, desk), runbook.route(pages, desk), *erasing]
    try:
        async with serving(pages, routes) as client:
            yield Looked(database, sealing, client, noted)
    finally:
        await database.close()
