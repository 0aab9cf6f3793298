"""The asking routes alone, over a database of their own and callers who say who they are.

Refuses nothing the desk does not: `X-Caller: user/ROLE[/scope]` is the whole credential.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx

from config.settings import Limits
from service.audit.checkpoints import Sealing
from service.audit.row import AuditRow
from service.audit.signing import log_key
from service.errors import Unauthenticated
from service.limits import Gate, MemoryStore, Rules
from service.limits.need import Need
from service.seal.vault import Vault
from service.store.database import NO_KEYS, Database, open_database
from service.web import audit, limits, usage
from service.web.archive import Archive
from service.web.console import rooms
from service.web.console.installation import Installation
from service.web.console.pages import Pages
from service.web.console.shelf import Shelf
from service.web.cursor import Cursors
from service.web.desk import Asking, Desk
from service.web.erasures import Erasing
from service.web.proofs import Prover
from service.web.verification import Verifying
from telemetry import ids
from telemetry.record import Caller
from telemetry.recorder import microseconds
from tests.service.web.serving import serving

KEY = log_key(None, [b"s" * 32], "0" * 32)
"""The key of the log, whichever it is."""
NOW = 1_764_000_000_000_000


class Asked:
    """The routes; `noted` are the rows that the audit was told to keep, `forgotten` who was erased."""

    def __init__(
        self,
        database: Database,
        client: httpx.AsyncClient,
        noted: list[AuditRow],
        gate: Gate,
        forgotten: list[str],
        archive: Archive,
    ) -> None:
        self.database, self.client, self.noted, self.gate = database, client, noted, gate
        self.forgotten, self.archive = forgotten, archive

    async def admit(self, user: str, role: str) -> None:
        """Count a turn of theirs, and end it."""
        caller = caller_of(user, role)
        need = Need(model="m", tokens=1, cost_micros=0, least_micros=0)
        grant = await self.gate.admit(caller, ids.uuid7(), NOW, "m", lambda: need)
        assert grant.refusal is None

    async def delete(self, path: str, caller: str = "h/AUDIT_HEAD") -> httpx.Response:
        """Ask for something to be forgotten."""
        return await self.client.delete(path, headers={"x-caller": caller})

    async def page(self, path: str, caller: str = "head/AUDIT_HEAD") -> httpx.Response:
        """Ask for a page of the console, as a browser does."""
        return await self.client.get(path, headers={"x-caller": caller, "accept": "text/html"})

    async def get(
        self, path: str, caller: str | None = "head/AUDIT_HEAD", **parameters: Any
    ) -> httpx.Response:
        """Ask; parameters are given as they are named, `from_` as `from`."""
        given = {name.rstrip("_"): value for name, value in parameters.items()} or None
        return await self.client.get(path, params=given, headers={"x-caller": caller} if caller else {})


async def who(request: Asking) -> Caller:
    """The caller by their own word."""
    said = request.headers.get("x-caller", "")
    if not said:
        raise Unauthenticated("Say who you are.")
    user, role, *scopes = said.split("/")
    return caller_of(user, role, *scopes)


def caller_of(user: str, role: str, *scopes: str) -> Caller:
    """A caller."""
    return Caller(
        user_id=user, role=role, method="test", credential_id="k1", pseudonym="p1", scopes=tuple(scopes)
    )


async def known(database: Database, user: str) -> Caller | None:
    """Somebody in the role they had last."""
    role = await database.questions.role_of(user)
    return caller_of(user, role) if role else None


@asynccontextmanager
async def asking(url: str, mode: Any = "enforce", vault: Vault = NO_KEYS) -> AsyncGenerator[Asked]:
    """Serve the routes in process."""
    database, noted, forgotten = await open_database(url, vault), [], []
    sealing = Sealing(database.checkpoints, KEY, (), microseconds)
    gate = Gate(MemoryStore(), Rules(Limits(mode=mode), 60_000), None, microseconds)
    desk, prover = Desk(who, noted.append, lambda: NOW), Prover(database, sealing, page=100)
    asked = audit.auditing(database.questions, Cursors((b"k" * 32,)), desk, prover, database.opening)
    pages = Pages(Installation(models=lambda _: ("small", "large")), Shelf())
    archive = Archive(asked, Verifying(database, KEY), Erasing(database.erasures, forgotten.append))
    routes = [
        *archive.routes(desk),
        *rooms.audit_routes(pages, archive, desk),
        *usage.routes(database.questions, desk),
        *limits.routes(gate, partial(known, database), desk),
    ]
    try:
        async with serving(pages, routes) as client:
            yield Asked(database, client, noted, gate, forgotten, archive)
    finally:
        await database.close()
