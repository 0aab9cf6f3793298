"""The audit's pages in process: what each shows to whom, by the very answers that the API gives."""

import re
from html import unescape
from urllib.parse import parse_qsl

import pytest

from service.seal.vault import Vault
from tests.harness.problems import problem
from tests.service.store.people import EVENTS, live, people
from tests.service.store.rows import CREATED_AT, Row
from tests.service.web.asking import KEY, NOW, asking
from tests.service.web.attacks import Hand

LIST, VERIFY, ERASE = "/console/audit", "/console/audit/verify", "/console/audit/erase"
ANN, BOB = people(2, 41)
FORM = {"content-type": "application/x-www-form-urlencoded", "accept": "text/html"}


@pytest.fixture
async def web(database_url):
    async with asking(database_url, vault=Vault(masters=(b"m" * 32,))) as asked:
        yield asked


def event(number, **more):
    return Row(id=f"event-{number:03}", created_at=CREATED_AT + number * 1_000_000, **more)


async def fill(web, count, **more):
    await web.database.audit.append([event(number, **more) for number in range(count)])


def listed(page):
    return re.findall(r'href="/console/audit/(event-\d+)"', page.text)


def link(page, name):
    """Where a link of this name leads."""
    return unescape(re.search(rf'href="([^"]*)"[^>]*>{name}<', page.text)[1])


async def post(web, path, caller="head/AUDIT_HEAD", **fields):
    return await web.client.post(path, data=fields, headers=FORM | {"x-caller": caller})


@pytest.mark.parametrize("path", [LIST, f"{LIST}/event-000", VERIFY, ERASE])
@pytest.mark.parametrize("role", ["CFO", "CXO_TEAM", "AUDITEE", "GUEST", "SOMEBODY"])
async def test_who_may_not_is_refused_and_leaves_no_look(web, path, role):
    await fill(web, 1)
    page = await web.page(path, f"ann/{role}")
    assert page.status_code == 403
    assert "You don&#39;t have permission" in page.text
    assert "event-000" not in page.text
    assert 'href="/console/audit"' not in page.text
    assert web.noted == []


async def test_an_auditor_neither_erases_nor_is_led_there(web):
    assert (await web.page(ERASE, "aud/AUDITOR")).status_code == 403
    assert (await post(web, ERASE, "aud/AUDITOR", subject="a", confirm="a")).status_code == 403
    page = await web.page(LIST, "aud/AUDITOR")
    assert (ERASE in page.text, VERIFY in page.text) == (False, True)


async def test_the_list_says_of_each_event_what_the_api_says(web):
    rows = [
        event(0),
        event(1, outcome="failed", category="network", code="upstream_timeout", count=20),
        event(2, actor_id=None, outcome="refused", model=None, cost_micros=0, query=None),
    ]
    await web.database.audit.append(rows)
    page = await web.page(LIST)
    assert listed(page) == ["event-002", "event-001", "event-000"]
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page.text))
    assert "user-1 CFO answered model-1 120 $1.25 1,500 How much did we spend?" in text
    assert "failed \N{MULTIPLICATION SIGN} 20 upstream_timeout network" in text
    assert "nobody CFO refused" in text
    assert 'href="/console/queries/turn-1"' in page.text
    assert 'datetime="2025-11-24T16:00:00.123Z" title="2025-11-24 16:00:00 UTC"' in page.text


async def test_whose_role_sees_no_content_gets_none_and_no_field_to_search_it(web):
    await fill(web, 1)
    for path in (LIST, f"{LIST}/event-000"):
        page = await web.page(path, "aud/AUDITOR")
        assert page.status_code == 200
        assert "How much" not in page.text
        assert "ot shown to your role" in page.text
        assert 'name="q"' not in page.text
    assert web.noted == []
    refused = await web.page(f"{LIST}?q=much", "aud/AUDITOR")
    assert refused.status_code == 403
    scoped = await web.page(f"{LIST}?q=much", "aud/AUDITOR/audit:content")
    assert "How much did we spend?" in scoped.text


async def test_who_looks_at_content_is_recorded_as_by_the_api(web):
    await fill(web, 1)
    await web.page(f"{LIST}?actor=user-1&q=much")
    await web.page(f"{LIST}/event-000")
    read = await web.get("/api/v1/audit/events", actor="user-1", q="much")
    assert read.status_code == 200
    listed, one, api = web.noted
    assert {each.entity_type for each in web.noted} == {"AUDIT_ACCESS"}
    assert (listed.actor_id, listed.role, listed.action, listed.query) == (
        "head",
        "AUDIT_HEAD",
        "READ",
        "much",
    )
    assert '"route":"GET /console/audit"' in listed.metadata
    assert "user-1" not in listed.metadata
    unlike = re.compile(r'"(route|requestId|traceId)":"[^"]*"')
    assert unlike.sub("", listed.metadata) == unlike.sub("", api.metadata)
    assert (one.entity_id, '"route":"GET /console/audit/{event_id}"' in one.metadata) == ("event-000", True)


async def test_pages_go_back_in_time_and_to_the_newest_again(web):
    await fill(web, 60)
    page, seen = await web.page(f"{LIST}?actor=user-1&limit=25"), []
    assert "To the newest" not in page.text
    for _ in range(2):
        seen += listed(page)
        page = await web.page(link(page, "Older"))
    seen += listed(page)
    assert seen == [f"event-{number:03}" for number in reversed(range(60))]
    assert ">Older<" not in page.text
    assert link(page, "To the newest") == f"{LIST}?actor=user-1&limit=25"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("actor=ann", [1]),
        ("outcome=failed", [2]),
        ("category=network", [2]),
        ("code=upstream_timeout", [2]),
        ("model=small", [3]),
        ("role=GUEST", [4]),
        ("tool=calculate", [5]),
        ("traceId=" + "a" * 32, [6]),
        ("entityType=AUDIT_HOLD", [7]),
        ("q=invoice", [8]),
        ("from=2025-11-24T16:00:09", [9]),
        ("to=2025-11-24T16:00:02", [1, 0]),
        ("from=2025-11-24T16:00:03&to=2025-11-24T16:00:05", [4, 3]),
        ("outcome=failed&code=upstream_timeout&role=CFO&from=2025-11-24T16:00", [2]),
        ("actor=nobody-of-that-name", []),
    ],
)
async def test_each_filter_is_asked_and_stays_in_the_form(web, query, found):
    special = [
        {},
        {"actor_id": "ann"},
        {"outcome": "failed", "category": "network", "code": "upstream_timeout"},
        {"model": "small"},
        {"role": "GUEST"},
        {"metadata": '{"toolsCalled":["calculate"]}'},
        {"trace_id": "a" * 32},
        {"entity_type": "AUDIT_HOLD"},
        {"query": "an invoice"},
        {},
    ]
    await web.database.audit.append([event(number, **each) for number, each in enumerate(special)])
    page = await web.page(f"{LIST}?{query}")
    assert listed(page) == [f"event-{number:03}" for number in found]
    assert ("No events" in page.text) is (not found)
    for name, value in parse_qsl(query):
        field = page.text.partition(f' name="{name}"')[2].partition("</div>")[0]
        assert f'value="{value}' in field
        if "<option" in field:
            assert f'value="{value}" selected' in field
        assert f'<input type="hidden" name="{name}" value="{value}">' in page.text


async def test_a_form_that_was_filled_in_leads_to_an_address_without_its_empty_fields(web):
    page = await web.page(f"{LIST}?actor=a+b&outcome=&from=&to=&q=&role=&limit=")
    assert (page.status_code, page.headers["location"]) == (303, f"{LIST}?actor=a+b")
    assert (await web.page(f"{LIST}?actor=&q=")).headers["location"] == LIST


@pytest.mark.parametrize(
    ("sought", "at"),
    [
        ("0af76519-16cd-43dd-8448-eb211c80319c", f"{LIST}/0af76519-16cd-43dd-8448-eb211c80319c"),
        (
            "0AF7651916CD43DD8448EB211C80319C",
            f"{LIST}?traceId=0af7651916cd43dd8448eb211c80319c&entityType=all",
        ),
        ("//evil.example/?a=b", f"{LIST}/%2F%2Fevil.example%2F%3Fa%3Db"),
    ],
)
async def test_an_id_leads_to_what_has_it(web, sought, at):
    answer = await web.client.get(LIST, params={"id": f" {sought} "}, headers={"x-caller": "h/AUDITOR"})
    assert (answer.status_code, answer.headers["location"]) == (303, at)


async def test_what_cannot_be_asked_is_said_in_the_form(web):
    page = await web.page(f"{LIST}?outcome=nope&from=yesterday&limit=7000&colour=red")
    assert page.status_code == 400
    for field in ("outcome", "from", "limit"):
        assert f'id="{field}-wrong"' in page.text
    assert "<code>colour</code> Unknown parameter" in page.text
    stale = await web.page(f"{LIST}?actor=ann&cursor=abc")
    assert (stale.status_code, link(stale, "To the newest events")) == (400, f"{LIST}?actor=ann")
    problem(await web.get(LIST, outcome="x" * 4_000, caller=""), 401, "unauthenticated")


async def test_an_event_is_shown_whole_with_the_proof_verified_here(web):
    await fill(web, 3, metadata='{"toolsCalled":["calculate"],"deep":{"list":[{"a":null,"b":true}]}}')
    page = await web.page(f"{LIST}/event-001")
    assert "not proven yet" in page.text
    assert await web.database.checkpoints.latest() is None, "nobody makes a checkpoint by looking"
    await web.database.checkpoints.seal(KEY.note, NOW, force=True)
    page = await web.page(f"{LIST}/event-001")
    assert ">proven<" in page.text
    assert "3 events" in page.text
    assert 'href="/api/v1/audit/events/event-001/proof" download="proof-event-001.json"' in page.text
    assert "<dt>b</dt><dd>yes" in re.sub(r"\s*\n\s*", "", page.text)
    missing = await web.page(f"{LIST}/event-404")
    assert (missing.status_code, "There is no audit event of that id." in missing.text) == (404, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE audit_event SET role = 'CEO' WHERE log_index = 1", "is not the one that was signed"),
        ("UPDATE audit_content SET query = 'Nothing' WHERE log_index = 1", "not the one that was said"),
        ("UPDATE audit_checkpoint SET note = note || 'x'", "does not hold"),
    ],
)
async def test_an_event_that_was_tampered_with_is_called_so(web, database_url, change, said):
    await fill(web, 3)
    await web.database.checkpoints.seal(KEY.note, NOW, force=True)
    hand = Hand(database_url)
    hand.unguard()
    hand.do(change)
    page = await web.page(f"{LIST}/event-001", "aud/AUDITOR")
    assert "The proof does not hold" in page.text
    assert said in page.text
    assert ">proven<" not in page.text


async def test_a_turns_feedback_and_its_life_are_led_to(web):
    await fill(web, 1)
    page = await web.page(f"{LIST}/event-000")
    assert 'href="/console/queries/turn-1"' in page.text
    assert f"{ERASE}?subject=user-1" in page.text
    assert ERASE not in (await web.page(f"{LIST}/event-000", "aud/AUDITOR")).text


async def test_the_log_is_verified_by_a_button_and_not_by_coming_by(web):
    await fill(web, 3)
    page = await web.page(VERIFY, "aud/AUDITOR")
    assert "There is none yet" in page.text
    assert "The log is" not in page.text
    await web.database.checkpoints.seal(KEY.note, NOW, force=True)
    verdict = await post(web, VERIFY, "aud/AUDITOR")
    assert verdict.status_code == 200
    assert "The log is whole" in verdict.text
    assert "3 events were read" in verdict.text
    assert KEY.public.raw.hex() not in verdict.text
    assert "BEGIN PUBLIC KEY" in verdict.text


async def test_a_log_that_was_tampered_with_is_told_place_by_place(web, database_url):
    await fill(web, 5)
    await web.database.checkpoints.seal(KEY.note, NOW, force=True)
    hand = Hand(database_url)
    hand.unguard()
    hand.do("UPDATE audit_event SET cost_micros = 0 WHERE log_index = 3")
    verdict = await post(web, VERIFY)
    assert "The log is not what was sealed" in verdict.text
    assert 'href="/console/audit/event-003"' in verdict.text
    told = (await web.get("/api/v1/audit/verify")).json()
    assert all(each["detail"] in unescape(verdict.text) for each in told["findings"])


async def test_one_verification_runs_at_a_time(web):
    await fill(web, 1)
    web.archive.verifying._running = True
    busy = await post(web, VERIFY)
    assert busy.status_code == 409
    assert "verified already" in busy.text


async def test_a_person_is_erased_by_the_name_typed_twice(web):
    for each in (ANN, BOB):
        await live(web.database, each)
    form = await web.page(f"{ERASE}?subject={ANN.name}")
    assert f'name="subject" value="{ANN.name}"' in unescape(form.text)
    done = await post(web, ERASE, subject=ANN.name, confirm=ANN.name)
    assert done.status_code == 200
    assert f"<dt>Events without name and text now</dt><dd>{EVENTS}</dd>" in done.text
    assert web.forgotten == [ANN.name]
    left = await web.page(unescape(link(done, "What is left of the events")))
    assert left.text.count("<em>erased") == EVENTS
    assert not any(text in left.text for text in ANN.texts)
    (event,) = (await web.get("/api/v1/audit/events", entityType="AUDIT_ERASURE")).json()["events"]
    assert event["actorId"] == "head"
    shown = (await web.get("/api/v1/audit/events", actor=BOB.name)).json()["events"]
    assert len(shown) == EVENTS


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"subject": ANN.name, "confirm": ANN.name.upper()}, 400, "Expected the subject's name once more"),
        ({"subject": ANN.name, "confirm": ""}, 400, "confirm-wrong"),
        ({"subject": ANN.name}, 400, "confirm-wrong"),
        ({"subject": "nobody", "confirm": "nobody"}, 404, "There is nobody of that name."),
        ({"subject": ANN.name, "confirm": ANN.name, "really": "1"}, 400, "really"),
    ],
)
async def test_what_is_no_clear_wish_erases_nobody(web, fields, status, said):
    await live(web.database, ANN)
    answer = await post(web, ERASE, **fields)
    assert (answer.status_code, web.forgotten) == (status, [])
    assert said in unescape(answer.text)
    assert len((await web.get("/api/v1/audit/events", actor=ANN.name)).json()["events"]) == EVENTS
