"""Every route and page, asked within each tenant for what is another tenant's.

Refuses to look at answers alone: whose things were asked for has them all afterwards.
"""

import asyncio
import random
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import httpx
from msgspec import Struct, structs

from service.store.database import open_database
from service.store.postgres.roles import grant_roles
from tests.harness import paying
from tests.harness.postgres import PASSWORD
from tests.harness.service import Service
from tests.harness.sql import ask
from tests.hostile import table
from tests.hostile.people import SETTINGS, People, Person
from tests.hostile.routes import ROUTES, Route

TENANTS = ("acme", "bolt", None)
WAYS = ("session", "token", "key")
"""By which credential somebody asks; a page takes only what is a cookie's."""
RULES = table.TABLE | table.PEOPLE
TOOK_SESSION = "POST /console/logout"
MAKES_SOMEBODY = {"makeKey", "POST /console/keys"}
"""A name that one tenant made a key for is somebody's there from then on."""


def settings(folder: Path, url: str | None = None) -> dict[str, str]:
    """Of a service with a tool whose calls wait for a CFO; on a server as the role that serves."""
    database = {} if url is None else {"DATABASE_URL": asyncio.run(_walled(url))}
    hour = {"AGENT_TURN_TIMEOUT_MS": "3600000", "AGENT_APPROVAL_TIMEOUT_MS": "3600000"}
    return {**SETTINGS, **hour, **paying.install(folder / "site", "payout"), **database}


async def _walled(url: str) -> str:
    await (await open_database(url)).close()
    name, parts = f"served_{secrets.token_hex(4)}", urlsplit(url)
    ask(url, f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    await grant_roles(url, name, None)
    return urlunsplit(parts._replace(netloc=f"{name}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}"))


class Try(Struct, frozen=True):
    """One request: who asks by which route for what is whose, and by which credential."""

    route: Route
    asker: Person
    of: Person
    by: str

    def __str__(self) -> str:
        asker = self.asker
        return f"{self.route.id}, {asker.role} of {asker.tenant} by {self.by} for one of {self.of.tenant}"

    @property
    def right(self) -> frozenset[int]:
        """Another tenant's is nobody's, but that a conversation cannot be begun which there is."""
        whose = "foreign" if self.route.id == "chat" else "missing"
        return RULES[self.route.id].answers(self.asker.role, whose)


class Tenants:
    """Somebody of each of these roles in each tenant of one service, and what each gets of the others'."""

    def __init__(self, service: Service, roles: Iterable[str] = table.ROLES) -> None:
        self.host = service.url
        self.folk = People(service, (Person(role, tenant) for tenant in TENANTS for role in roles))
        self.people = self.folk.all
        self._asked: dict[str | None, set[str]] = {tenant: set() for tenant in TENANTS}

    def __enter__(self) -> Self:
        self.folk.__enter__()
        for each in self.people:
            self.folk.wait(each)
        return self

    def __exit__(self, *_: object) -> None:
        self.folk.__exit__()

    def head(self, tenant: str | None) -> Person:
        """Who may see most of a tenant."""
        return next(each for each in self.people if each.tenant == tenant and each.role == table.HEAD)

    def tries(self, dice: random.Random, ways: Iterable[str] = ("session",)) -> Iterator[Try]:
        """Each route by everybody in each of these ways, for what somebody's of the same role is elsewhere.

        What names nothing of another's comes first, when every id is still a secret; last what makes people.
        """
        found = [
            Try(route, asker, of, by)
            for route in ROUTES
            for asker in self.people
            for of in self.people
            if of.tenant != asker.tenant and of.role == asker.role
            for by in ways
            if not (route.page and by == "key")
        ]
        dice.shuffle(found)
        return iter(sorted(found, key=lambda one: (one.route.id in MAKES_SOMEBODY, bool(self._named(one)))))

    def faults(self, one: Try) -> Iterator[str]:
        """Make it, and say what was wrong; what a tenant's own people asked with is no news to it."""
        self._asked[one.asker.tenant].update(self._named(one))
        answer = self.send(one.route, one.asker, one.of, one.by)
        if answer.status_code not in one.right:
            yield f"{one}: {answer.status_code}, not {sorted(one.right)}: {answer.text[:200]}"
        known = self._asked[one.asker.tenant]
        for each in self.people:
            if each.tenant != one.asker.tenant:
                told = [word for word in each.own if word in answer.text and word not in known]
                yield from (f"{one}: told {word}" for word in told)
        if one.route.id == TOOK_SESSION:
            one.asker.sign()
            self.folk.sign_in(one.asker)

    def send(self, route: Route, asker: Person, of: Person, by: str = "session") -> httpx.Response:
        """Ask by a route for what is somebody's."""
        asked = self._request(route, asker, of)
        return self.folk.client.request(**asked, headers=self.credential(asker, by, page=route.page))

    def credential(self, person: Person, by: str = "session", *, page: bool = False) -> Mapping[str, str]:
        """What a browser sends, which has a cookie and says where it is, or what a program sends."""
        if by == "session" or page:
            told = {"accept": "text/html"} if page else {}
            given = person.cookie if by == "session" else person.token
            return {"cookie": f"session={given}", "origin": self.host, **told}
        return {"authorization": f"Bearer {person.token if by == 'token' else person.secret}"}

    def missing(self) -> Iterator[str]:
        """What anybody has no longer of all that others asked for."""
        for each in self.people:
            for path, has in self._kept(each).items():
                answer = self.folk.client.get(path, headers=self.credential(each))
                if not answer.is_success or has not in answer.text:
                    yield f"{each.role} of {each.tenant}: {path}: {answer.status_code}: {answer.text[:200]}"
        for tenant in TENANTS:
            keys = self.folk.client.get("/api/v1/keys", headers=self.head(tenant).credential()).json()["keys"]
            live = {key["id"] for key in keys if key["revokedAt"] is None}
            gone = [each for each in self.people if each.tenant == tenant and each.key not in live]
            yield from (f"{each.role} of {tenant}: the key is revoked" for each in gone)

    def _kept(self, person: Person) -> Mapping[str, str]:
        kept = {
            f"/api/v1/conversations/{person.conversation}": person.word,
            f"/api/v1/agent/turns/{person.turn}/feedback": person.word,
            "/api/v1/sessions": person.session,
        }
        return kept | ({"/api/v1/agent/approvals": person.waiting} if person.role == table.CFO else {})

    def _request(self, route: Route, asker: Person, of: Person) -> dict[str, Any]:
        return structs.replace(of.theirs, erased=of.name).request(route, asker.word)

    def _named(self, one: Try) -> set[str]:
        asked = repr(self._request(one.route, one.asker, one.of))
        return {word for word in one.of.own if word in asked}
