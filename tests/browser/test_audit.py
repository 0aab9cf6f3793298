"""The audit in a real browser: found, proven, verified, erased; by keyboard alone, on every screen."""

import json
import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MANY
from tests.browser.test_access import PHONE, fallible, tab_to
from tests.browser.test_hostile import CORPUS, harmless
from tests.browser.visit import ISSUING
from tests.harness.service import Service
from tests.harness.waiting import wait
from tests.service.auth.mint import Mint
from tests.service.web.attacks import Hand

LIST, VERIFY, ERASE = "/console/audit", "/console/audit/verify", "/console/audit/erase"
PAGES = LIST, VERIFY, ERASE
STRANGERS = ("AUDITEE", "GUEST", "CFO")
HEAD = "AUDIT_HEAD"
QUESTIONS = ("What is 12*7? [sim:tool]", "Which invoices are open?", "[sim:529] Sum up", "Plan of the audit")
WIDE = "document.documentElement.scrollWidth > innerWidth"


def ask(service, user, message, role="AUDITEE", **headers):
    cookie = Mint("HS256").token(sub=user, role=role)
    return httpx.post(
        f"{service.url}/api/v1/agent/chat",
        json={"message": message},
        headers={"cookie": f"session={cookie}"} | headers,
        trust_env=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def hall(tmp_path_factory):
    """A service that ann and bob have asked thirty times between them."""
    with Service(tmp_path_factory.mktemp("hall"), ISSUING | MANY) as service:
        for number in range(30):
            ask(service, "ann" if number % 3 else "bob", QUESTIONS[number % 4])
        service.wait_for_rows(30)
        yield service


@pytest.fixture
def auditing(visiting, hall):
    """A visit of somebody who may see everything."""
    with visiting("head", HEAD, service=hall) as visit:
        yield visit


def rows(page):
    return page.locator(".events tbody tr")


@pytest.mark.parametrize("role", STRANGERS)
def test_who_may_not_is_refused_everywhere_and_led_nowhere(visiting, hall, role):
    with visiting("stranger", role, service=hall, expected=[403]) as visit:
        for path in PAGES:
            page = visit.open(path)
            expect(page.get_by_role("heading", level=1)).to_have_text("Not permitted")
            expect(page.get_by_role("navigation", name="Pages").get_by_text("Audit")).to_have_count(0)


def test_an_auditor_sees_no_words_and_erases_nobody(visiting, hall):
    with visiting("aud", "AUDITOR", service=hall, expected=[403]) as visit:
        page = visit.open(LIST)
        expect(rows(page).first).to_contain_text("not shown to your role")
        assert "invoices" not in page.content()
        expect(page.get_by_label("Words of the query")).to_have_count(0)
        expect(page.get_by_role("navigation", name="Audit").get_by_text("Erase")).to_have_count(0)
        visit.open(ERASE)
        expect(page.get_by_role("heading", level=1)).to_have_text("Not permitted")


def test_without_script_filters_find_pages_turn_and_the_address_is_told_on(visiting, hall):
    with visiting("head", HEAD, service=hall, java_script_enabled=False) as visit:
        page = visit.open(LIST)
        page.get_by_label("Who").fill("ann")
        page.locator("#outcome").select_option("answered")
        page.get_by_text("More filters").click()
        page.get_by_label("On a page").select_option("25")
        page.get_by_role("button", name="Filter").click()
        assert page.url.endswith(f"{LIST}?actor=ann&outcome=answered&limit=25")
        assert rows(page).count() == len(rows(page).filter(has_text="ann").all()) == 15
        expect(page.get_by_label("Who")).to_have_value("ann")
        page.get_by_role("link", name="Show all").click()
        page.goto(f"{page.url}?limit=25")
        page.get_by_role("link", name="Older").click()
        expect(rows(page)).to_have_count(5)
        page.get_by_role("link", name="To the newest").click()
        expect(rows(page)).to_have_count(25)
        page.get_by_label("Words of the query").fill("invoices nowhere")
        page.get_by_label("Words of the query").press("Enter")
        expect(page.get_by_text("None is as these filters want it.")).to_be_visible()


def test_what_cannot_be_asked_is_said_at_its_field(visiting, hall):
    with visiting("head", HEAD, service=hall, expected=[400]) as visit:
        page = visit.open(f"{LIST}?outcome=none&actor=ann")
        expect(page.get_by_role("alert")).to_contain_text("This cannot be asked")
        expect(page.get_by_label("Who")).to_have_value("ann")


def test_an_event_is_found_by_its_id_proven_and_its_proof_taken_along(auditing):
    page = auditing.open(f"{LIST}?outcome=failed")
    rows(page).first.locator(".when a").click()
    turn = page.url.rpartition("/")[2]
    expect(page.locator("#fields + dl")).to_contain_text("upstream_overloaded")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the proof").click()
    proof = json.loads(download.value.path().read_text())
    assert (proof["id"], "note" in proof["seal"], "checkpoint" in proof["seal"]) == (turn, False, True)
    page.goto(LIST)
    page.get_by_label("Event, turn, request or trace").fill(proof["traceId"])
    page.get_by_role("button", name="Find").click()
    expect(rows(page)).to_have_count(1)
    page.get_by_label("Event, turn, request or trace").fill(turn)
    page.get_by_label("Event, turn, request or trace").press("Enter")
    expect(page.get_by_text("proven", exact=True)).to_be_visible()
    expect(page.locator("#proof ~ dl")).to_contain_text(re.compile("[0-9a-f]{64}"))
    expect(page.get_by_role("link", name="The query's life")).to_have_attribute(
        "href", f"/console/queries/{turn}"
    )


def test_an_export_takes_the_filters_and_the_form_along(auditing):
    page = auditing.open(f"{LIST}?actor=bob")
    page.get_by_label("Form").select_option("csv")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    lines = download.value.path().read_text().splitlines()
    assert (download.value.suggested_filename, len(lines)) == ("audit-events.csv", 11)
    assert all('"bob"' in line for line in lines[1:])


def test_who_looked_is_an_event_with_the_address_and_no_name_of_whom_was_looked_at(visiting, hall):
    with visiting("looker", HEAD, service=hall) as visit:
        visit.open(f"{LIST}?actor=ann&q=invoices")
        told = 'SELECT * FROM "AuditEvent" WHERE "entityType" = \'AUDIT_ACCESS\' AND "actorId" = \'looker\''
        (look,) = wait(lambda: hall.sql(told))
        metadata = json.loads(look["metadata"])
        assert (look["action"], metadata["route"]) == ("READ", "GET /console/audit")
        assert metadata["query"] == "invoices"
        assert re.fullmatch("[0-9a-f-]{32,36}", metadata["filters"]["actor"])
        page = visit.open(f"{LIST}?entityType=AUDIT_ACCESS&actor=looker")
        expect(rows(page).last).to_contain_text("read Looks at the audit")
        expect(rows(page).last).to_contain_text("invoices")


def test_the_log_is_verified_and_says_what_was_read(visiting, hall):
    with visiting("aud", "AUDITOR", service=hall) as visit:
        page = visit.open(VERIFY)
        expect(page.get_by_text("BEGIN PUBLIC KEY")).to_be_visible()
        page.get_by_role("button", name="Verify the log").click()
        expect(page.get_by_role("heading", name="The log is whole")).to_be_focused()
        expect(page.locator(".verdict")).to_contain_text("events were read")
        expect(page.get_by_role("button", name="Verify again")).to_be_enabled()


def test_while_the_log_is_verified_the_page_says_so(visiting, hall):
    with visiting("aud", "AUDITOR", service=hall) as visit:
        page = visit.open(VERIFY)
        page.evaluate("addEventListener('submit', (event) => event.preventDefault())")
        page.get_by_role("button", name="Verify the log").click()
        expect(page.get_by_role("status").filter(has_text="Verifying")).to_be_visible()
        expect(page.get_by_role("button", name="Verify the log")).to_have_attribute("aria-disabled", "true")


def test_a_log_that_was_tampered_with_is_told_place_by_place(visiting, start_visited):
    service = start_visited()
    turns = [ask(service, "ann", "Hello").json()["id"] for _ in range(3)]
    service.wait_for_rows(3)
    with visiting("head", HEAD, service=service) as visit:
        page = visit.open(f"{LIST}/{turns[1]}")
        with page.expect_download():
            page.get_by_role("link", name="Download the proof").click()
        hand = Hand(f"sqlite:///{service.cwd}/var/parley.db")
        hand.unguard()
        hand.do(f"UPDATE audit_event SET role = 'CEO' WHERE id = '{turns[1]}'")  # noqa: S608 - our own id
        page.reload()
        expect(page.get_by_role("alert")).to_contain_text("The proof does not hold")
        page.get_by_role("link", name="Verify the whole log").click()
        page.get_by_role("button", name="Verify the log").click()
        expect(page.get_by_role("heading", name="The log is not what was sealed")).to_be_visible()
        page.get_by_role("region", name="Findings").get_by_role("link", name=turns[1]).click()
        expect(page.get_by_role("alert")).to_contain_text("The proof does not hold")


def test_a_person_is_erased_by_keyboard_alone_and_only_by_the_name_typed_twice(visiting, hall):
    ask(hall, "zoe", "My secret plan")
    hall.wait_for_rows(actorId="zoe")
    with visiting("head", HEAD, service=hall, expected=[400, 404]) as visit:
        page = visit.open(f"{LIST}?actor=zoe")
        tab_to(page, page.locator(".when a").inner_text())
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(f"{LIST}/.+"))
        tab_to(page, "Erase this person …")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(ERASE))
        expect(page.get_by_label("User id", exact=True)).to_have_value("zoe")
        page.locator("#confirm").focus()
        page.keyboard.type("zoe")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Erased")
        page.get_by_role("link", name="What is left of the events").click()
        expect(rows(page)).to_have_count(1)
        expect(rows(page)).to_contain_text("erased")
        assert not {"secret", "zoe"} & set(re.findall(r"\w+", page.content()))


@pytest.mark.parametrize(
    ("subject", "confirm", "said"),
    [
        ("ann", "Ann", "Expected the subject's name once more"),
        ("nobody", "nobody", "There is nobody of that name."),
    ],
)
def test_what_is_no_clear_wish_erases_nobody(visiting, hall, subject, confirm, said):
    with visiting("head", HEAD, service=hall, expected=[400, 404]) as visit:
        page = visit.open(ERASE)
        page.get_by_label("User id", exact=True).fill(subject)
        page.locator("#confirm").fill(confirm)
        page.get_by_role("button", name="Erase this person").click()
        expect(page.get_by_text(said)).to_be_visible()
        expect(page.get_by_label("User id", exact=True)).to_have_value(subject)


@pytest.fixture(params=["light-desk", "light-phone", "dark-desk", "dark-phone"])
def looked_at(request, visiting, hall):
    """A visit in these colours on this screen, whose page axe may look into."""
    scheme, size = request.param.split("-")
    options = {"color_scheme": scheme, "bypass_csp": True, **(PHONE if size == "phone" else {})}
    with visiting("axe", HEAD, service=hall, expected=[400, 403, 404], **options) as visit:
        yield visit


def test_axe_finds_nothing_and_no_page_scrolls_sideways(looked_at):
    page = looked_at.open(LIST)
    page.get_by_text("More filters").click()
    one = page.locator(".when a").first.get_attribute("href")
    paths = (LIST, f"{LIST}?actor=nobody", f"{LIST}?outcome=x&from=y&limit=0", one, VERIFY, ERASE)
    for path in paths:
        looked_at.open(path)
        assert fallible(looked_at) == [], path
        assert page.evaluate(WIDE) is False, path
    page.locator("#subject").fill("ann")
    page.locator("#confirm").fill("bob")
    page.get_by_role("button", name="Erase this person").click()
    assert fallible(looked_at) == []
    looked_at.open(VERIFY)
    page.get_by_role("button", name="Verify the log").click()
    page.get_by_role("heading", name="The log is whole").wait_for()
    assert fallible(looked_at) == []


def test_words_of_others_are_text_on_every_page(visiting, hall):
    name = "<img/src=x/onerror=window.ran=1>'><svg/onload=window.ran=1>"
    for each in CORPUS:
        ask(hall, name, each, "HOSTILE", **{"user-agent": CORPUS[0], "x-request-id": "a"})
    ask(hall, name, f"[sim:529] {CORPUS[3]}", "HOSTILE")
    hall.wait_for_rows(len(CORPUS) + 1, actorId=name)
    with visiting("head", HEAD, service=hall, expected=[400, 404]) as visit:
        page = visit.open(f"{LIST}?role=HOSTILE")
        for each in CORPUS[:12]:
            assert each in page.locator(".events").inner_text()
        harmless(page)
        shown = [link.get_attribute("href") for link in page.locator(".when a").all()]
        for path in shown[:6]:
            visit.open(path)
            assert name in page.locator(".lead").inner_text()
            harmless(page)
        page.get_by_role("link", name="Erase this person …").click()
        expect(page.get_by_label("User id", exact=True)).to_have_value(name)
        harmless(page)
        page.locator("#confirm").fill(CORPUS[0])
        page.get_by_role("button", name="Erase this person").click()
        harmless(page)
        visit.open(
            f"{LIST}?actor=%22%3E%3Cscript%3Ewindow.ran=1%3C/script%3E&outcome=%3Cimg%20src=x%20onerror=window.ran=1%3E"
        )
        harmless(page)
