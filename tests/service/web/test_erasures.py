import pytest

from service.audit import erasure
from service.audit.deed import Doer
from service.seal.vault import Vault
from service.store.database import open_database
from tests.service.store.people import EVENTS, found_in_files, live, people
from tests.service.web.asking import NOW, asking

PATH = "/api/v1/audit/erasures"
EVENT = "/api/v1/audit/events"
DOER = Doer(caller=None, request_id="r", trace_id=None, at=NOW)
MASTER = b"m" * 32
ANN, BOB = people(2, 41)


@pytest.fixture
async def web(database_url):
    async with asking(database_url, vault=Vault(masters=(MASTER,))) as asked:
        yield asked


async def post(web, body, caller="head/AUDIT_HEAD"):
    return await web.client.post(PATH, json=body, headers={"x-caller": caller} if caller else {})


def twice(name):
    return {"subject": name, "confirm": name}


async def test_a_person_is_forgotten_and_the_answer_says_what_went(web):
    for each in (ANN, BOB):
        await live(web.database, each)
    response = await post(web, twice(ANN.name))
    told = response.json()
    subject_id = told.pop("subjectId")
    counts = {"events": EVENTS, "conversations": 1, "answers": 1, "apiKeys": 1}
    assert (response.status_code, told) == (200, {"subject": ANN.name, "left": [], **counts})
    (event,) = (await web.get(EVENT, entityType="AUDIT_ERASURE")).json()["events"]
    assert web.forgotten == [ANN.name]
    assert (event["actorId"], event["role"], event["entityId"]) == ("head", "AUDIT_HEAD", subject_id)
    assert {name: event["metadata"][name] for name in counts} == counts
    assert event["metadata"]["requestId"] == response.headers["x-request-id"]
    shown = (await web.get(EVENT, actor=BOB.name)).json()["events"]
    assert [each["metadata"]["query"] for each in reversed(shown)] == list(BOB.texts)


async def test_the_files_are_cleared_as_well(web, tmp_path):
    await live(web.database, ANN)
    await post(web, twice(ANN.name))
    assert not found_in_files(tmp_path.rglob("parley.db*")) & ANN.words


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"subject": ANN.name, "confirm": ANN.name.upper()}, ["confirm"]),
        ({"subject": ANN.name, "confirm": ""}, ["confirm"]),
        ({"subject": ANN.name}, ["confirm"]),
        ({"subject": "", "confirm": ""}, ["subject", "confirm"]),
        ({**twice(ANN.name), "really": True}, ["really"]),
        ([], ["body"]),
    ],
)
async def test_a_name_that_is_not_said_twice_erases_nobody(web, body, wrong):
    await live(web.database, ANN)
    response = await post(web, body)
    assert response.status_code == 400
    assert sorted(each["field"] for each in response.json()["errors"]) == sorted(wrong)
    assert len((await web.get(EVENT, actor=ANN.name)).json()["events"]) == EVENTS


async def test_a_body_that_is_no_json_by_its_own_word_is_not_read(web):
    response = await web.client.post(
        PATH, content=b"{}", headers={"x-caller": "head/AUDIT_HEAD", "content-type": "text/plain"}
    )
    assert response.status_code == 415


async def test_a_body_that_is_too_large_is_refused(web):
    response = await post(web, {**twice("x"), "more": "x" * (1 << 15)})
    assert response.status_code == 413


async def test_nobody_of_that_name_is_not_found(web):
    response = await post(web, twice("nobody"))
    assert (response.status_code, response.json()["detail"]) == (404, "There is nobody of that name.")


async def test_under_legal_hold_it_is_a_conflict_with_the_reason(web):
    await live(web.database, ANN)
    await web.database.holds.place(ANN.name, "case 7", lambda who: erasure.placed(DOER, who), NOW)
    response = await post(web, twice(ANN.name))
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert "case 7" in response.json()["detail"]
    assert len((await web.get(EVENT, actor=ANN.name)).json()["events"]) == EVENTS


@pytest.mark.parametrize(
    ("caller", "status"),
    [("cfo/CFO", 403), ("aud/AUDITOR/audit:content", 403), ("me/AUDITEE", 403), (None, 401)],
)
async def test_nobody_else_may(web, caller, status):
    await live(web.database, ANN)
    assert (await post(web, twice(ANN.name), caller)).status_code == status
    assert len((await web.get(EVENT, actor=ANN.name)).json()["events"]) == EVENTS


async def test_who_was_looked_for_is_noted_by_the_random_id_alone(web):
    await live(web.database, ANN)
    await web.get(EVENT, actor=ANN.name)
    await web.get("/api/v1/audit/export", actor="never-seen")
    (subject,) = await web.database._engine.run_ddl("SELECT id FROM audit_subject")
    assert [ANN.name in row.metadata or "never-seen" in row.metadata for row in web.noted] == [False, False]
    assert [subject["id"] in row.metadata for row in web.noted] == [True, False]


@pytest.mark.parametrize(
    ("caller", "seen"), [("head/AUDIT_HEAD", True), ("a/AUDITOR/audit:content", True), ("a/AUDITOR", False)]
)
async def test_sealed_texts_open_for_who_may_see_content_and_nobody_else(database_url, caller, seen):
    vault = Vault(masters=(MASTER,), sealed=True)
    first = await open_database(database_url, vault)
    await live(first, ANN)
    await first.close()
    async with asking(database_url, vault=vault) as web:
        page = await web.get(EVENT, caller, actor=ANN.name)
        one = await web.get(f"{EVENT}/{ANN.name[:6]}-0", caller)
        export = await web.get("/api/v1/audit/export", caller, actor=ANN.name)
        proof = await web.get(f"{EVENT}/{ANN.name[:6]}-0/proof", caller)
    for response in (page, one, export, proof):
        assert response.status_code == 200
        assert (ANN.texts[0] in response.text) is seen
        assert ('"content":"sealed"' in response.text.replace(" ", "")) is not seen
