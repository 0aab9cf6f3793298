"""Every route and page by sessions of each tenant for what is another's; and each has its own whole.

Refuses to take silence for a wall: the same questions find what is one's own.
"""

import json
import random
import secrets
import time

import pytest
from msgspec import Struct

from service.web.schema.operations import OPERATIONS
from tests.conftest import TOLD
from tests.harness.service import Service
from tests.hostile.people import MINT, Person
from tests.hostile.routes import ROUTES
from tests.hostile.table import AUDITOR, CFO, HEAD, PEOPLE
from tests.hostile.tenants import TENANTS, WAYS, Tenants, settings

ROLES = (HEAD, AUDITOR, CFO, "AUDITEE")
SEED = 12
EVENTS = "/api/v1/audit/events"


class House(Struct, frozen=True):
    """A service and its people; `owner` is the same installation for who may erase, as it may not."""

    database: str
    service: Service
    tenants: Tenants
    owner: Service


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def house(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tenants")
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres").database()
    with Service(folder, settings(folder, url)) as service, Tenants(service, ROLES) as tenants:
        erasing = dict(service.settings) | ({"DATABASE_URL": url} if url else {})
        yield House(request.param, service, tenants, Service(folder, erasing))


@pytest.fixture
def tenants(house):
    return house.tenants


def test_nothing_of_another_tenant_is_told_or_touched_by_any_route_or_page(house, record_property):
    tenants = house.tenants
    tries = list(tenants.tries(random.Random(SEED)))  # noqa: S311 - draws examples
    faults = [fault for one in tries for fault in tenants.faults(one)]
    faults += [*tenants.missing(), *map(str, house.service.lines(type="request_failed"))]
    record_property(TOLD, f"tenants, {house.database}: {len(tries)} tries, {len(faults)} faults")
    assert faults == []
    assert len(tries) == len(ROUTES) * len(ROLES) * len(TENANTS) * 2
    assert {one.route.id for one in tries} == {each.id for each in OPERATIONS} | set(PEOPLE)


def get(tenants, person, path, by="session", **query):
    return tenants.folk.client.get(path, params=query, headers=tenants.credential(person, by))


@pytest.mark.parametrize("tenant", TENANTS)
def test_each_tenant_has_its_own_whole(tenants, tenant):
    """What is kept apart is still there: each auditor sees all of the tenant's, and each person their own."""
    own, head = [each for each in tenants.people if each.tenant == tenant], tenants.head(tenant)
    names = {each.name for each in own}
    told = get(tenants, head, EVENTS, limit="200").json()["events"]
    assert {each.turn for each in own} <= {event["id"] for event in told}
    assert {event["actorId"] for event in told} == names
    usage = get(tenants, head, "/api/v1/usage", groupBy="user").json()
    assert usage["total"]["turns"] == len(told)
    assert {row["key"] for row in usage["rows"]} == names
    board = get(tenants, head, "/api/v1/operations").json()
    assert board["turns"]["total"] == len(told)
    assert {row["key"] for row in board["cost"]["byUser"]} == names
    event = f"{EVENTS}/{head.turn}"
    exports = ("/api/v1/audit/export?format=csv", "/api/v1/audit/export")
    for path in (event, f"{event}/proof", *exports):
        assert get(tenants, head, path).status_code == 200, path
    for page in ("/console/audit", f"/console/audit/{head.turn}", f"/console/queries/{head.turn}"):
        assert head.word in get(tenants, head, page).text


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize("tenant", TENANTS)
def test_each_credential_lets_in_there(tenants, tenant, by):
    head = tenants.head(tenant)
    page = get(tenants, head, EVENTS, by).json()["events"]
    assert {event["metadata"].get("tenant") for event in page} == {tenant}
    assert head.word in get(tenants, head, f"/api/v1/conversations/{head.conversation}", by).text


def test_who_is_ended_in_a_tenant_goes_on_in_another(tenants):
    """All of a user's tokens, and one by its `jti`: neither name reaches out of the tenant."""
    head, jti = tenants.head("acme"), secrets.token_hex(8)
    tokens = {
        tenant: MINT.token(sub="leaver", role="GUEST", jti=jti, iat=int(time.time()) - 60, tenant=tenant)
        for tenant in ("acme", "bolt")
    }
    for body in ({"token": jti}, {"user": "leaver", "keys": True}):
        told = tenants.folk.client.post("/api/v1/tokens/revoke", json=body, headers=head.credential())
        assert told.status_code == 200, told.text
    statuses = {
        tenant: tenants.folk.client.get(
            "/api/v1/limits", headers={"authorization": f"Bearer {token}"}
        ).status_code
        for tenant, token in tokens.items()
    }
    assert statuses == {"acme": 401, "bolt": 200}


@pytest.mark.parametrize("path", [EVENTS, "/api/v1/conversations"])
def test_a_cursor_of_one_tenant_opens_nothing_in_another(tenants, path):
    acme, bolt = tenants.head("acme"), tenants.head("bolt")
    tenants.folk.speak(acme)
    again = {"limit": "1", "cursor": get(tenants, acme, path, limit="1").json()["nextCursor"]}
    assert get(tenants, acme, path, **again).status_code == 200
    assert get(tenants, bolt, path, **again).status_code == 400


def test_the_log_of_all_tenants_verifies_as_one(tenants):
    head = tenants.head("acme")
    report = get(tenants, head, "/api/v1/audit/verify")
    assert report.json()["valid"] is True, report.text
    exported = get(tenants, head, "/api/v1/audit/export", format="jsonl").text
    assert head.word in exported
    others = [each for each in tenants.people if each.tenant != "acme"]
    assert not [each.word for each in others if each.word in exported]


def namesakes(tenants):
    """Somebody of one name in each tenant, who has everything."""
    name = f"namesake-{secrets.token_hex(6)}"
    found = [Person("AUDITEE", tenant, name) for tenant in TENANTS]
    for each in found:
        each.sign()
        tenants.folk.speak(each)
        tenants.folk.sign_in(each)
        tenants.folk.give_key(each)
    return found


def test_one_name_in_two_tenants_is_two_people(house):
    """What is done to one by name is done to nobody else."""
    tenants = house.tenants
    one, *others = namesakes(tenants)
    head = tenants.head(one.tenant)
    listed = get(tenants, head, "/api/v1/sessions", user=one.name).json()["sessions"]
    assert [each["id"] for each in listed] == [one.session]
    assert len(get(tenants, head, EVENTS, actor=one.name).json()["events"]) == 1
    asked = {"params": {"user": one.name}, "headers": tenants.credential(head)}
    assert tenants.folk.client.delete("/api/v1/sessions", **asked).json() == {"ended": 1}
    done = house.owner.cli("audit", "erase", "--subject", one.name, "--tenant", one.tenant, "--yes", "--json")
    assert json.loads(done.stdout)["subjects"][0]["erased"], done
    assert get(tenants, one, "/api/v1/limits").status_code == 401
    for each in others:
        assert each.session in get(tenants, each, "/api/v1/sessions").text
        talk = f"/api/v1/conversations/{each.conversation}"
        assert each.word in get(tenants, each, talk).text
        assert each.word in get(tenants, tenants.head(each.tenant), f"{EVENTS}/{each.turn}").text


def test_an_answer_that_is_kept_for_a_repetition_is_told_in_its_tenant_alone(tenants):
    one, other, _ = namesakes(tenants)
    wish = {"idempotency-key": secrets.token_hex(8)}
    body = {"message": f"What of {one.word}?"}

    def asked(person):
        told = tenants.credential(person) | wish
        return tenants.folk.client.post("/api/v1/agent/chat", json=body, headers=told)

    first, again, elsewhere = asked(one), asked(one), asked(other)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["id"] == first.json()["id"] != elsewhere.json()["id"]
    assert "idempotency-replayed" not in elsewhere.headers


def test_the_tag_of_a_board_is_no_other_tenants(tenants):
    acme, bolt = tenants.head("acme"), tenants.head("bolt")
    tag = {"if-none-match": get(tenants, acme, "/api/v1/operations").headers["etag"]}
    answers = [
        tenants.folk.client.get("/api/v1/operations", headers=dict(tenants.credential(each)) | tag)
        for each in (acme, bolt)
    ]
    assert answers[1].status_code == 200
