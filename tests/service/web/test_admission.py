"""Sessions, keys, settings and roles over HTTP: who may, what is told, what is recorded, what never is."""

import json
import logging
from contextlib import asynccontextmanager

import httpx
import pytest
from litestar import Litestar
from msgspec import structs

from config import load, table
from config.settings import Limits
from service.audit import erasure
from service.audit.deed import Doer
from service.auth.authenticator import Authenticator
from service.auth.credentials import Credentials
from service.auth.keys import KeyDoor
from service.auth.sessions import ENDED, Sessions
from service.auth.verified import Verified
from service.errors import DatabaseError, Unauthenticated
from service.store.database import open_database
from service.web import house_rules, keys, problems, rotation, sessions, tokens
from service.web.desk import Desk
from service.web.envelope import Envelope
from service.web.session import credentials_of
from service.web.tokens import Revoking
from telemetry.recorder import microseconds
from tests.harness.problems import problem

PEPPER = b"p" * 32
ENVIRON = {"AGENT_PORT": "1", "AGENT_SECRET_KEY": "k" * 40, "DATABASE_URL": "postgres://u:pass-word@h/d"}
SESSIONS, KEYS = sessions.ALL, keys.ALL


def pseudonym(user):
    return f"pseudo-{user}"


class Process:
    """One process of a service over a database: its door, and its routes."""

    def __init__(self, database):
        self.database, self.noted = database, []
        self.sessions = Sessions((b"s" * 32,), database.sessions, microseconds, remembering())
        self.keys = KeyDoor(database.keys, (PEPPER,), pseudonym, microseconds, remembering())
        self.door = Authenticator(self.keys, None, self.sessions, pseudonym)
        desk = Desk(self._who, self.noted.append, microseconds)
        loaded = load(ENVIRON, None)
        rules = house_rules.HouseRules(lambda: table.rows(loaded.settings, loaded.origins), Limits)
        cabinet = self.cabinet = keys.Cabinet(database.keys, (PEPPER,), self.door.drop_key, pseudonym)
        app = Litestar(
            [
                *sessions.routes(sessions.Opened(database.sessions, self.sessions, pseudonym, True), desk),
                *keys.routes(cabinet, desk),
                *house_rules.routes(rules, desk),
                rotation.route(cabinet, desk),
                tokens.route(Revoking(self.sessions, cabinet, self.door.forget), desk),
            ],
            exception_handlers={Exception: problems.answer},
            logging_config=None,
            openapi_config=None,
        )
        transport = httpx.ASGITransport(Envelope(app))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://parley")

    async def _who(self, request):
        return await self.door.identify(credentials_of(request))

    async def signed_in(self, user, role="AUDITEE"):
        return {"cookie": f"session={await self.sessions.begin(user, role, 'oidc')}"}

    async def of(self, cookie):
        """The caller of a cookie."""
        return await self.door.identify(Credentials(cookie=cookie["cookie"]))

    async def ended(self, cookie):
        with pytest.raises(Unauthenticated, match=ENDED):
            await self.of(cookie)


def remembering():
    return Verified(microseconds, 3_600_000_000)


@asynccontextmanager
async def process(url):
    database = await open_database(url)
    try:
        made = Process(database)
        async with made.client:
            yield made
    finally:
        await database.close()


@pytest.fixture
async def one(database_url):
    async with process(database_url) as made:
        yield made


@pytest.fixture
async def two(database_url, one):
    assert one
    async with process(database_url) as made:
        yield made


@pytest.fixture
async def head(one):
    return await one.signed_in("head", "AUDIT_HEAD")


# sessions


async def test_ones_own_sessions_are_listed_latest_first(one):
    first, second = await one.signed_in("ann"), await one.signed_in("ann")
    await one.signed_in("ben")
    listed = (await one.client.get(SESSIONS, headers=first)).json()["sessions"]
    assert [each["current"] for each in listed] == [False, True]
    assert {(each["user"], each["role"], each["method"]) for each in listed} == {("ann", "AUDITEE", "oidc")}
    assert listed[0]["id"] == (await one.of(second)).credential_id
    assert listed[0]["begunAt"] < listed[0]["expiresAt"]
    assert first["cookie"].partition("=")[2] not in json.dumps(listed)


async def test_one_session_ends_and_no_other(one, two):
    first, second = await one.signed_in("ann"), await one.signed_in("ann")
    for each in (one, two):
        await each.of(second)
    name = (await one.of(second)).credential_id
    gone = await one.client.delete(f"{SESSIONS}/{name}", headers=first)
    assert (gone.status_code, gone.content, "set-cookie" in gone.headers) == (204, b"", False)
    for each in (one, two):
        await each.ended(second)
        assert (await each.of(first)).user_id == "ann"
    listed = (await two.client.get(SESSIONS, headers=first)).json()["sessions"]
    assert [each["id"] for each in listed] == [(await one.of(first)).credential_id]
    problem(await one.client.delete(f"{SESSIONS}/{name}", headers=first), 404, "not_found")


async def test_logout_everywhere_ends_all_of_one_user_in_every_process(one, two):
    mine = [await each.signed_in("ann") for each in (one, one, two)]
    other = await one.signed_in("ben")
    for each in (one, two):
        for cookie in (*mine, other):
            await each.of(cookie)
    gone = await one.client.delete(SESSIONS, headers=mine[0])
    assert (gone.status_code, gone.json()) == (200, {"ended": 3})
    assert "session=" in gone.headers["set-cookie"]
    assert "Max-Age=0" in gone.headers["set-cookie"]
    for each in (one, two):
        for cookie in mine:
            await each.ended(cookie)
        assert (await each.of(other)).user_id == "ben"
    again = await two.signed_in("ann")
    assert (await one.of(again)).user_id == "ann"


async def test_what_was_ended_here_stays_out_though_nobody_can_look(one, two):
    """AGENT_AUTH_STALE_MS: what was seen to hold is dropped at once here, elsewhere at the next look."""
    cookie, other = await one.signed_in("ann"), await one.signed_in("ben")
    for each in (one, two):
        await each.of(cookie)
        await each.of(other)
    await one.client.delete(SESSIONS, headers=cookie)
    await two.ended(cookie)
    for each in (one, two):
        await each.database.close()
        assert (await each.of(other)).stale
        with pytest.raises(DatabaseError):
            await each.of(cookie)


async def test_others_sessions_are_for_who_keeps_the_keys(one, head):
    ann, ben = await one.signed_in("ann", "AUDITOR"), await one.signed_in("ben")
    name = (await one.of(ben)).credential_id
    problem(await one.client.get(SESSIONS, params={"user": "ben"}, headers=ann), 403, "forbidden")
    problem(await one.client.delete(SESSIONS, params={"user": "ben"}, headers=ann), 403, "forbidden")
    for unknown in (name, "none", "\u00e9"):
        problem(await one.client.delete(f"{SESSIONS}/{unknown}", headers=ann), 404, "not_found")
    assert one.noted == []
    listed = (await one.client.get(SESSIONS, params={"user": "ben"}, headers=head)).json()["sessions"]
    assert [each["id"] for each in listed] == [name]
    gone = await one.client.delete(SESSIONS, params={"user": "ben"}, headers=head)
    assert (gone.json(), "set-cookie" in gone.headers) == ({"ended": 1}, False)
    await one.ended(ben)
    (row,) = one.noted
    assert (row.entity_type, row.action, row.entity_id, row.actor_id) == (
        "SESSION",
        "ENDED",
        "pseudo-ben",
        "head",
    )
    assert json.loads(row.metadata)["sessions"] == [name]


async def test_another_site_ends_nobodys_session(one):
    cookie = await one.signed_in("ann")
    foreign = cookie | {"sec-fetch-site": "cross-site"}
    problem(await one.client.delete(SESSIONS, headers=foreign), 403, "cross_site")
    assert (await one.of(cookie)).user_id == "ann"


async def test_who_was_erased_has_no_session_left(one):
    cookie = await one.signed_in("ann")
    await one.of(cookie)
    doer = Doer(caller=None, request_id="r", trace_id=None, at=microseconds())
    tell = lambda done: erasure.erased(doer, **structs.asdict(done))  # noqa: E731 - one line
    await one.database.erasures.erase("ann", tell, microseconds())
    await one.ended(cookie)
    assert await one.database.sessions.list("ann", 0) == []


# keys


async def test_a_key_is_made_shown_once_and_lets_in(one, two, head, caplog):
    caplog.set_level(logging.DEBUG)
    body = {"user": "kim", "role": "AUDITOR", "scopes": ["audit:content"], "expires": "90d"}
    made = await one.client.post(KEYS, json=body, headers=head)
    assert made.status_code == 201
    told = made.json()
    assert set(told) == {"id", "key", "user", "role", "scopes", "expiresAt"}
    caller = await two.keys.identify(told["key"])
    assert (caller.user_id, caller.role, caller.scopes) == ("kim", "AUDITOR", ("audit:content",))
    listed = await one.client.get(KEYS, headers=head)
    (row,) = listed.json()["keys"]
    assert (row["id"], row["status"], row["user"], row["expiresAt"]) == (
        told["id"],
        "active",
        "kim",
        told["expiresAt"],
    )
    (noted,) = one.noted
    assert (noted.entity_type, noted.action, noted.entity_id, noted.actor_id) == (
        "API_KEY",
        "MADE",
        told["id"],
        "head",
    )
    assert json.loads(noted.metadata)["subject"] == "pseudo-kim"
    secret = told["key"].rpartition("_")[2]
    lines = [getattr(each, "line", None) for each in caplog.records]
    assert "key_made" in repr(lines)
    assert secret not in listed.text + repr(one.noted) + repr(lines) + caplog.text


async def test_a_key_that_is_revoked_lets_nobody_in(one, two, head):
    told = (await one.client.post(KEYS, json={"user": "kim", "role": "CFO"}, headers=head)).json()
    for each in (one, two):
        await each.keys.identify(told["key"])
    assert (await one.client.delete(f"{KEYS}/{told['id']}", headers=head)).status_code == 204
    for each in (one, two):
        with pytest.raises(Unauthenticated):
            await each.keys.identify(told["key"])
    assert [row.action for row in one.noted] == ["MADE", "REVOKED"]
    problem(await one.client.delete(f"{KEYS}/{told['id']}", headers=head), 404, "not_found")
    assert len(one.noted) == 2
    (row,) = (await one.client.get(KEYS, headers=head)).json()["keys"]
    assert (row["status"], row["revokedAt"] is None) == ("revoked", False)
    await one.database.close()
    with pytest.raises(DatabaseError):
        await one.keys.identify(told["key"])


async def test_a_key_that_is_revoked_stays_out_though_nobody_can_look(one, head):
    revoked, other = [
        (await one.client.post(KEYS, json={"user": user, "role": "CFO"}, headers=head)).json()
        for user in ("kim", "lee")
    ]
    for each in (revoked, other):
        await one.keys.identify(each["key"])
    await one.client.delete(f"{KEYS}/{revoked['id']}", headers=head)
    await one.database.close()
    assert (await one.keys.identify(other["key"])).stale
    with pytest.raises(DatabaseError):
        await one.keys.identify(revoked["key"])


@pytest.mark.parametrize("role", ["AUDITOR", "CFO", "AUDITEE"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", KEYS),
        ("POST", KEYS),
        ("DELETE", f"{KEYS}/0123456789abcdef"),
        ("GET", house_rules.SETTINGS),
        ("GET", house_rules.ROLES),
    ],
)
async def test_whoever_may_not_is_refused_before_anything_is_read(one, role, method, path):
    cookie = await one.signed_in("ann", role)
    problem(await one.client.request(method, path, headers=cookie), 403, "forbidden")
    problem(await one.client.request(method, path), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"user": "a b"}, "user"),
        ({"user": ""}, "user"),
        ({"user": "a\n"}, "user"),
        ({"role": "cfo"}, "role"),
        ({"role": "A" * 33}, "role"),
        ({"scopes": ["audit:erase"]}, "scopes"),
        ({"scopes": "audit:content"}, "scopes"),
        ({"expires": "90"}, "expires"),
        ({"expires": "0d"}, "expires"),
        ({"expires": "100000d"}, "expires"),
        ({"expires": 90}, "expires"),
        ({"key": "mine"}, "key"),
    ],
)
async def test_a_key_is_made_by_the_commands_rules(one, head, changes, wrong):
    body = {"user": "kim", "role": "CFO"} | changes
    told = problem(await one.client.post(KEYS, json=body, headers=head), 400, "invalid_request")
    assert [each["field"] for each in told["errors"]] == [wrong]
    assert (await one.client.get(KEYS, headers=head)).json() == {"keys": []}
    assert one.noted == []


# settings, roles


async def test_settings_are_told_as_the_command_tells_them(one, head):
    told = (await one.client.get(house_rules.SETTINGS, headers=head)).json()["settings"]
    loaded = load(ENVIRON, None)
    assert told == table.as_json(table.rows(loaded.settings, loaded.origins))
    by_name = {each["name"]: each for each in told}
    assert by_name["AGENT_PORT"] == {"name": "AGENT_PORT", "value": "1", "origin": "env"}
    assert by_name["AGENT_HOST"]["origin"] == "default"
    for secret in ("k" * 40, "pass-word"):
        assert secret not in json.dumps(told)


async def test_the_table_of_roles_is_what_is_asked_at_every_door(one, head):
    told = (await one.client.get(house_rules.ROLES, headers=head)).json()["roles"]
    by_name = {each["name"]: each for each in told}
    assert list(by_name) == ["CFO", "CXO_TEAM", "AUDIT_HEAD", "AUDITOR", "AUDITEE", "GUEST", "*"]
    assert by_name["AUDITOR"] == {
        "name": "AUDITOR",
        "requests": 30,
        "actions": ["chat", "own", "audit", "export", "verify"],
        "scopes": {"audit:content": "audit_content"},
    }
    assert "keys" in by_name["AUDIT_HEAD"]["actions"]
    assert (by_name["*"]["requests"], by_name["*"]["actions"]) == (20, ["chat", "own"])
