"""Tokens end: one by its name, all of a user's before a moment; in all processes at the next request."""

import json

import pytest
from msgspec import structs

from service.audit.deed import Doer
from service.auth.credentials import Credentials
from service.auth.keys import make_key
from service.auth.sessions import ENDED, Going, Sessions, names_of
from service.auth.tokens import header_of, sign
from service.errors import DatabaseError, Unauthenticated
from service.store.keys import StoredKey
from service.web import tokens
from service.web.tokens import Revoking
from telemetry.person import person_of
from telemetry.recorder import microseconds
from tests.service.web.test_admission import PEPPER, Process, head, one, problem, process, two

__all__ = ("Process", "head", "one", "process", "two")  # fixtures of the routes about who is let in
PATH = tokens.PATH
MINUTE = 60_000_000


def going(user, issued, *names):
    return Going(names=names or ("some",), person=user, issued=issued)


async def refused(sessions, *what):
    with pytest.raises(Unauthenticated, match=ENDED):
        await sessions.refuse_ended(going(*what))


async def test_a_session_of_somebody_is_ended_by_its_name(one, two, head):
    cookie = await one.signed_in("ann")
    name = (await one.of(cookie)).credential_id
    told = await one.client.post(PATH, json={"token": name}, headers=head)
    assert (told.status_code, told.json()["token"]) == (200, name)
    for each in (one, two):
        await each.ended(cookie)
    assert (await two.of(await one.signed_in("ann"))).user_id == "ann"
    (row,) = one.noted
    assert (row.entity_type, row.action, row.entity_id, row.actor_id) == ("TOKEN", "REVOKED", name, "head")


async def test_a_token_of_another_issuer_is_ended_by_its_jti(one, two, head):
    other = going("ann", 0, *names_of("digest", "j-1", None))
    assert await two.sessions.refuse_ended(other) is False
    await one.client.post(PATH, json={"token": "j-1"}, headers=head)
    with pytest.raises(Unauthenticated, match=ENDED):
        await two.sessions.refuse_ended(other)
    assert await two.sessions.refuse_ended(going("ann", 0, *names_of("digest", "j-2", None))) is False


async def test_of_a_tenant_only_its_own_are_ended(one, two):
    """One name, one `jti`, one key's user in two tenants are two."""
    head = await one.signed_in(person_of("head", "acme"), "AUDIT_HEAD")
    people = [person_of("ann", tenant) for tenant in ("acme", "globex", None)]
    cookies = [await one.signed_in(person) for person in people]
    made = [await key_of(one, person) for person in people]
    named = [names_of("digest", "j-1", tenant) for tenant in ("acme", "globex", None)]
    for cookie in cookies[1:]:
        name = (await one.of(cookie)).credential_id
        await one.client.post(PATH, json={"token": name}, headers=head)
    await one.client.post(PATH, json={"token": "j-1"}, headers=head)
    for names in named[1:]:
        assert await two.sessions.refuse_ended(going("x", 0, *names)) is False
    await refused(two.sessions, "x", 0, *named[0])
    told = (await one.client.post(PATH, json={"user": "ann", "keys": True}, headers=head)).json()
    assert (told["sessions"], told["keys"]) == (1, [made[0].id])
    await two.ended(cookies[0])
    for cookie, key, tenant in zip(cookies[1:], made[1:], ("globex", None), strict=True):
        assert (await two.of(cookie)).tenant == tenant
        assert (await two.keys.identify(key.key)).tenant == tenant
    assert {json.loads(row.metadata)["tenant"] for row in one.noted} == {"acme"}


async def test_a_tenants_session_that_is_ended_by_its_name_is_listed_no_more(one):
    head = await one.signed_in(person_of("head", "acme"), "AUDIT_HEAD")
    cookie = await one.signed_in(person_of("ann", "acme"))
    name = (await one.of(cookie)).credential_id
    assert (await one.client.post(PATH, json={"token": name}, headers=head)).status_code == 200
    listed = await one.client.get("/api/v1/sessions?user=ann", headers=head)
    assert listed.json()["sessions"] == []
    await one.ended(cookie)


def revoking(process):
    return Revoking(process.sessions, process.cabinet, process.door.forget)


def command():
    """Who uses the command line."""
    return Doer(caller=None, request_id="r", trace_id=None, at=microseconds())


async def test_a_command_without_a_tenant_ends_a_name_in_all(one, two):
    doer = command()
    await tokens.revoke(revoking(one), one.noted.append, doer, tokens.RevocationBody(token="j-1"))
    for tenant in ("acme", None):
        await refused(two.sessions, "x", 0, *names_of("digest", "j-1", tenant))
    cookie = await one.signed_in(person_of("ann", "acme"))
    body = tokens.RevocationBody(token=(await one.of(cookie)).credential_id)
    await tokens.revoke(revoking(one), one.noted.append, structs.replace(doer, tenant="globex"), body)
    assert (await two.of(cookie)).tenant == "acme"
    await tokens.revoke(revoking(one), one.noted.append, doer, body)
    await two.ended(cookie)


async def test_a_key_that_is_named_by_its_id_is_revoked_within_the_tenant(one, two):
    """The audit names who came by a key by the key's id: it is not said to be ended and goes on."""
    head = await one.signed_in(person_of("head", "acme"), "AUDIT_HEAD")
    own, other = [await key_of(one, person_of("ann", tenant)) for tenant in ("acme", "globex")]
    for key in (own, other):
        for each in (one, two):
            await each.keys.identify(key.key)
        told = await one.client.post(PATH, json={"token": key.id}, headers=head)
        assert told.json()["keys"] == ([key.id] if key is own else [])
    with pytest.raises(Unauthenticated):
        await two.keys.identify(own.key)
    assert (await two.keys.identify(other.key)).tenant == "globex"
    assert [row.entity_type for row in one.noted] == ["TOKEN", "API_KEY", "TOKEN"]
    await tokens.revoke(revoking(one), one.noted.append, command(), tokens.RevocationBody(token=other.id))
    with pytest.raises(Unauthenticated):
        await two.keys.identify(other.key)
    assert json.loads(one.noted[-1].metadata)["tenant"] == "globex"


async def test_what_was_ended_by_its_jti_stays_out_though_nobody_can_look(one, head):
    seen, other = (
        going("ann", 0, *names_of(name, jti, None)) for name, jti in (("d-1", "j-1"), ("d-2", "j-2"))
    )
    for each in (seen, other):
        assert await one.sessions.refuse_ended(each) is False
    await one.client.post(PATH, json={"token": "j-1"}, headers=head)
    await one.database.close()
    assert await one.sessions.refuse_ended(other) is True
    with pytest.raises(DatabaseError):
        await one.sessions.refuse_ended(seen)


async def test_a_key_that_was_rotated_is_looked_up_before_it_is_let_in_again(one, head):
    old = await key_of(one, "ann")
    await one.keys.identify(old.key)
    told = await one.client.post(f"/api/v1/keys/{old.id}/rotate", json={"overlap": "1m"}, headers=head)
    assert told.status_code == 201
    await one.database.close()
    with pytest.raises(DatabaseError):
        await one.keys.identify(old.key)


async def key_of(process, person):
    """A key of somebody."""
    new = make_key(PEPPER)
    at = {"created_at": microseconds(), "digest": new.digest}
    await process.database.keys.add(StoredKey(id=new.id, user_id=person, role="CFO", scopes=(), **at))
    return new


async def test_all_of_a_user_before_a_moment_and_nothing_else(one, two, head):
    cookie, other = await one.signed_in("ann"), await one.signed_in("ben")
    told = (await one.client.post(PATH, json={"user": "ann"}, headers=head)).json()
    assert (told["user"], told["sessions"], told["keys"]) == ("ann", 1, [])
    now = microseconds()
    for each in (one, two):
        await each.ended(cookie)
        assert (await each.of(other)).user_id == "ben"
        await refused(each.sessions, "ann", 0)
        await refused(each.sessions, "ann", now - MINUTE)
        assert await each.sessions.refuse_ended(going("ann", now + MINUTE)) is False
    (row,) = one.noted
    said = json.loads(row.metadata)
    assert (row.entity_type, row.action, said["subject"]) == ("TOKEN", "REVOKED", "pseudo-ann")
    assert len(said["sessions"]) == 1
    assert "ann" not in {row.entity_id, said["subject"]}


async def test_an_earlier_moment_never_takes_a_later_one_back(one, head):
    for before in ("2030-01-01", "2020-01-01"):
        told = await one.client.post(PATH, json={"user": "ann", "before": before}, headers=head)
        assert told.json()["before"] == f"{before}T00:00:00.000Z"
    await refused(one.sessions, "ann", microseconds())


async def test_with_keys_no_key_of_the_user_lets_anybody_in(one, two, head):
    made = [
        (await one.client.post("/api/v1/keys", json={"user": user, "role": "CFO"}, headers=head)).json()
        for user in ("ann", "ann", "ben")
    ]
    told = (await one.client.post(PATH, json={"user": "ann", "keys": True}, headers=head)).json()
    assert sorted(told["keys"]) == sorted(each["id"] for each in made[:2])
    for each in made[:2]:
        with pytest.raises(Unauthenticated):
            await two.keys.identify(each["key"])
    assert (await two.keys.identify(made[2]["key"])).user_id == "ben"


A_KEY = make_key(PEPPER).key
A_TOKEN = sign({"sub": "ann"}, b"k" * 32, "kid")
WRONG = [
    ({"token": A_KEY}, ["token"]),
    ({"token": A_TOKEN}, ["token"]),
    ({}, ["token"]),
    ({"token": "a", "user": "ann"}, ["token"]),
    ({"token": "a", "keys": True}, ["keys"]),
    ({"token": "a", "before": "2020-01-01"}, ["before"]),
    ({"user": "ann", "before": "soon"}, ["before"]),
    ({"user": "a b"}, ["user"]),
    ({"user": "ann", "all": True}, ["all"]),
]


@pytest.mark.parametrize(("body", "fields"), WRONG, ids=range(len(WRONG)))
async def test_what_is_not_said_well_ends_nothing(one, head, body, fields):
    told = await one.client.post(PATH, json=body, headers=head)
    problem(told, 400, "invalid_request")
    assert [each["field"] for each in told.json()["errors"]] == fields
    assert not any(secret in told.text for secret in (A_KEY, A_TOKEN))
    assert one.noted == []
    assert await one.sessions.refuse_ended(going("ann", 0)) is False


@pytest.mark.parametrize("role", ["AUDITOR", "CFO", "AUDITEE"])
async def test_whoever_may_not_is_refused(one, role):
    cookie = await one.signed_in("ann", role)
    problem(await one.client.post(PATH, json={"user": "ben"}, headers=cookie), 403, "forbidden")
    problem(await one.client.post(PATH, json={"user": "ben"}), 401, "unauthenticated")


async def test_the_name_of_whoever_it_was_is_not_kept(one):
    hidden = lambda user: (f"digest-{len(user)}",)  # noqa: E731 - one line
    sessions = Sessions((b"s" * 32,), one.database.sessions, microseconds, subjects=hidden)
    await sessions.bar("a-name-of-somebody", microseconds())
    rows = await one.database._engine.run("SELECT id FROM revoked_subject")
    assert [row["id"] for row in rows] == ["digest-18"]


async def test_a_token_that_does_not_say_when_it_was_issued_is_one_of_long_ago(one, head):
    await one.client.post(PATH, json={"user": "ann", "before": "2000-01-01"}, headers=head)
    await refused(one.sessions, "ann", 0)
    cookie = await one.signed_in("ann")
    assert header_of(cookie["cookie"].partition("=")[2])["kid"]
    assert (await one.door.identify(Credentials(cookie=cookie["cookie"]))).user_id == "ann"
