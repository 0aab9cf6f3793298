"""The console over a database and doors of its own, several people at once."""

import re
from html import unescape

import httpx
import pytest
from litestar import Litestar

from config import load, table
from config.settings import Limits
from service.app.reload import CHANGING
from service.auth.authenticator import Authenticator
from service.auth.keys import KeyDoor
from service.auth.sessions import Sessions
from service.auth.verified import Verified
from service.store.database import open_database
from service.web import console, problems
from service.web.console.installation import Installation
from service.web.console.offices import Offices
from service.web.console.pages import Pages
from service.web.console.shelf import Shelf
from service.web.desk import Desk
from service.web.envelope import Envelope
from service.web.house_rules import HouseRules
from service.web.keys import Cabinet
from service.web.session import credentials_of
from service.web.sessions import Opened
from service.web.tokens import Revoking
from telemetry.recorder import microseconds

PEPPER = b"p" * 32
ENVIRON = {"AGENT_PORT": "1", "AGENT_SECRET_KEY": "k" * 40, "DATABASE_URL": "postgres://u:pass-word@h/d"}


def words_of(page):
    """What a page says, without its markup."""
    main = page.text.partition("<main")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", "<" + main)).split())


def pseudonym(user):
    return f"pseudo-{user}"


class Rooms:
    """The console of one process; `noted` are the events it owes the audit."""

    def __init__(self, database):
        self.database, self.noted = database, []
        remembering = lambda: Verified(microseconds, 3_600_000_000)  # noqa: E731 - one line
        self.sessions = Sessions((b"s" * 32,), database.sessions, microseconds, remembering())
        self.keys = KeyDoor(database.keys, (PEPPER,), pseudonym, microseconds, remembering())
        self.door = Authenticator(self.keys, None, self.sessions, pseudonym)
        desk, loaded = Desk(self._who, self.noted.append, microseconds), load(ENVIRON, None)
        cabinet = Cabinet(database.keys, (PEPPER,), self.door.drop_key, pseudonym)
        offices = Offices(
            Opened(database.sessions, self.sessions, pseudonym, secure=False),
            cabinet,
            HouseRules(lambda: table.rows(loaded.settings, loaded.origins), Limits, CHANGING),
            Revoking(self.sessions, cabinet, self.door.forget),
        )
        pages = Pages(Installation(models=lambda _: ("small",)), Shelf())
        app = Litestar(
            console.routes(pages, self.door, desk, offices),
            exception_handlers={Exception: console.refusing(pages, problems.answer)},
            logging_config=None,
            openapi_config=None,
        )
        transport = httpx.ASGITransport(Envelope(app))
        self.client = httpx.AsyncClient(
            transport=transport, base_url="http://parley", headers={"accept": "text/html"}
        )

    async def _who(self, request):
        return await self.door.identify(credentials_of(request))

    async def signed_in(self, user, role="AUDITEE"):
        """The headers of somebody's browser."""
        return {"cookie": f"session={await self.sessions.begin(user, role, 'oidc')}"}

    async def get(self, path, cookie=None, **more):
        return await self.client.get(path, headers=cookie, **more)

    async def post(self, path, cookie, **fields):
        return await self.client.post(path, headers=cookie, data=fields)


@pytest.fixture
async def rooms(tmp_path):
    database = await open_database(f"sqlite:///{tmp_path}/parley.db")
    try:
        made = Rooms(database)
        async with made.client:
            yield made
    finally:
        await database.close()


@pytest.fixture
async def head(rooms):
    return await rooms.signed_in("head", "AUDIT_HEAD")
