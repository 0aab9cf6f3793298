"""The console's pages in process: the link that is good once, the layout, refusals as pages, its files."""

import gzip
import re

import pytest

from config.settings import Limits, Settings
from service.web import console
from service.web.console import CHAT, HOME, SIGN_IN, SIGN_OUT
from service.web.console.headers import for_paths
from service.web.console.installation import Installation
from service.web.console.pages import Pages
from service.web.console.shelf import STATIC, Shelf
from telemetry.record import Caller
from tests.harness.problems import problem


@pytest.fixture
def make(web, monkeypatch):
    """Make an application without a credential; `sessions` are its own."""
    sessions, routes = [], console.routes

    def seen(pages, door, *rooms):
        sessions.append(door.sessions)
        return routes(pages, door, *rooms)

    monkeypatch.setattr(console, "routes", seen)

    async def made(**settings):
        made = await web(**settings)
        del made.client.headers["authorization"]
        made.sessions = sessions[-1]
        return made

    return made


@pytest.fixture
async def app(make):
    return await make()


async def sign_in(app, user="dev-auditor", role="AUDIT_HEAD"):
    return await app.client.get(SIGN_IN, params={"code": app.sessions.invite(user, role)})


async def test_a_code_gives_a_cookie_that_only_this_site_can_send(app):
    response = await sign_in(app)
    assert (response.status_code, response.headers["location"], response.content) == (303, CHAT, b"")
    (given,) = response.headers.get_list("set-cookie")
    name, *rules = given.split("; ")
    assert re.fullmatch(r"session=[\w-]+\.[\w-]+\.[\w-]+", name, re.ASCII)
    assert sorted(rule.lower() for rule in rules) == [
        "httponly",
        "max-age=28800",
        "path=/",
        "samesite=strict",
    ]
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "same-origin"


async def test_outside_development_the_cookie_goes_by_tls_only(make):
    response = await sign_in(await make(environment="production"), "ann", "CFO")
    assert "; secure" in response.headers["set-cookie"].lower()


async def test_the_page_says_who_is_signed_in_and_where_to_go(app):
    await sign_in(app)
    page = await app.client.get(HOME)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<strong>dev-auditor</strong>, role <strong>AUDIT_HEAD</strong>" in page.text
    links = re.findall(r'href="([^"]+)"', page.text)
    assert {"/schema", "/api/v1/audit/events", "/api/v1/audit/export"} <= set(links)
    assert (await app.client.get("/console")).text == page.text
    assert "Answers come from the simulator" in page.text


def shown(**facts):
    """The chat page of an installation of these facts, as text."""
    ann = Caller(user_id="ann", role="CFO", method="session", credential_id="1", pseudonym="p")
    pages = Pages(Installation(models=lambda _: ("small",), **facts), Shelf())
    return pages.show("chat", ann, told={"models": ("small",)})


def test_a_real_models_page_says_nothing_of_a_simulator():
    assert "simulator" in shown(simulated=True).content
    assert "simulator" not in shown(simulated=False).content


def test_thinking_is_offered_where_it_is_shown():
    assert 'id="thinking"' in shown().content
    assert 'id="thinking"' not in shown(thinking=False).content


def test_outside_development_the_pages_stay_with_tls():
    assert shown(secure=True).headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("path", [HOME, CHAT])
async def test_pages_hold_nothing_inline_and_nothing_from_elsewhere(app, path):
    await sign_in(app)
    page = await app.client.get(path)
    rules = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert {rules[f"{kind}-src"] for kind in ("script", "style", "connect", "img")} == {"'self'"}
    assert rules["require-trusted-types-for"] == "'script'"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert "strict-transport-security" not in page.headers
    assert not re.search(r"<style|style=|\son\w+=|https?:|[\"']//", page.text)
    assert all("src=" in tag for tag in re.findall("<script[^>]*>", page.text))
    addresses = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert {each.partition("/")[0] for each in addresses} == {""}
    for each in addresses:
        if each.startswith("/console/static/"):
            assert (await app.client.get(each)).status_code == 200, each


async def test_the_chat_page_offers_the_models_of_the_role(make):
    made = await make(limits=Limits(role_models={"GUEST": ("small", "large")}))
    await sign_in(made, "ann", "GUEST")
    assert re.findall(r"<option>([^<]+)", (await made.client.get(CHAT)).text) == ["small", "large"]
    await sign_in(made, "ann", "CFO")
    assert re.findall(r"<option>([^<]+)", (await made.client.get(CHAT)).text) == list(Settings().model.names)


@pytest.mark.parametrize("role", ["AUDITEE", "GUEST", "CFO"])
async def test_who_may_not_is_not_led_there(app, role):
    await sign_in(app, "ann", role)
    page = await app.client.get(HOME)
    assert page.status_code == 200
    assert "/api/v1/audit" not in page.text
    assert "/api/v1/usage" in page.text


async def test_a_name_is_text_and_never_markup(app):
    await sign_in(app, '<script>alert("1")</script>&$role', "AUDITEE")
    page = await app.client.get(HOME)
    assert "<script>" not in page.text
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;&amp;$role" in page.text


@pytest.mark.parametrize("query", ["", "code=", "code=x", "code=" + "A" * 43])
async def test_a_wrong_code_is_401_and_no_cookie(app, query):
    response = await app.client.get(f"{SIGN_IN}?{query}")
    body = problem(response, 401, "unauthenticated")
    assert body["detail"] == "The sign-in code is unknown, used or expired."
    assert "set-cookie" not in response.headers


async def test_a_code_is_good_once(app):
    code = app.sessions.invite("ann", "CFO")
    assert (await app.client.get(SIGN_IN, params={"code": code})).status_code == 303
    problem(await app.client.get(SIGN_IN, params={"code": code}), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("query", "fields"),
    [("code=x&next=/", ["next"]), ("code=x&code=y", ["code"]), ("code=" + "x" * 257, ["code"])],
)
async def test_other_parameters_are_named_and_spend_no_code(app, query, fields):
    body = problem(await app.client.get(f"{SIGN_IN}?{query}"), 400, "invalid_request")
    assert [each["field"] for each in body["errors"]] == fields


async def test_nobody_sees_no_page(app):
    problem(await app.client.get(HOME), 401, "unauthenticated")
    problem(await app.client.post(SIGN_OUT), 401, "unauthenticated")
    problem(await app.client.get(SIGN_OUT), 405, "method_not_allowed")


async def test_a_sign_out_ends_the_session_and_takes_the_cookie_back(app):
    await sign_in(app)
    token = app.client.cookies["session"]
    response = await app.client.post(SIGN_OUT, headers={"origin": "http://parley"})
    assert response.status_code == 200
    assert "signed out" in response.text
    assert "Max-Age=0" in response.headers["set-cookie"]
    assert "session" not in app.client.cookies
    body = problem(await app.client.get(HOME, headers={"cookie": f"session={token}"}), 401, "unauthenticated")
    assert body["detail"] == "The session was ended."


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}, {"origin": "null"}]
)
async def test_another_site_signs_nobody_out(app, headers):
    await sign_in(app)
    problem(await app.client.post(SIGN_OUT, headers=headers), 403, "cross_site")
    assert (await app.client.get(HOME)).status_code == 200


async def test_an_api_key_is_not_signed_out(app):
    response = await app.client.post(SIGN_OUT, headers={"authorization": f"Bearer {app.key}"})
    problem(response, 401, "unauthenticated")
    assert (await app.client.get(HOME, headers={"authorization": f"Bearer {app.key}"})).status_code == 200


async def test_two_headers_are_no_way_around(app):
    await sign_in(app)
    token = app.client.cookies["session"]
    app.client.cookies.clear()
    twice = [("cookie", f"session={token}"), ("cookie", f"session={token}")]
    problem(await app.client.get(HOME, headers=twice), 401, "unauthenticated")
    split = [("cookie", "theme=dark"), ("cookie", f"session={token}")]
    assert (await app.client.get(HOME, headers=split)).status_code == 200
    for name, values in {
        "origin": ("http://parley", "http://evil.example"),
        "sec-fetch-site": ("same-origin", "cross-site"),
    }.items():
        for pair in (values, values[::-1]):
            headers = [("cookie", f"session={token}"), *((name, value) for value in pair)]
            problem(await app.client.get(HOME, headers=headers), 403, "cross_site")


async def test_the_root_leads_to_the_console(app):
    answer = await app.client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")


WANTED = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
"""What a browser that is led to a page says."""


async def test_a_browser_gets_a_refusal_as_a_page_with_the_contracts_words(app):
    page = await app.client.get(CHAT, headers=WANTED)
    assert (page.status_code, page.headers["www-authenticate"]) == (401, "Bearer")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "content-security-policy" in page.headers
    assert "Your session has expired. Please refresh the page and log in again." in page.text
    wrong = await app.client.get(f"{SIGN_IN}?code=x", headers=WANTED)
    assert wrong.status_code == 401
    assert "The sign-in code is unknown, used or expired." in wrong.text
    nowhere = await app.client.get("/console/nowhere", headers=WANTED)
    assert nowhere.status_code == 404
    assert "There is nothing at this address." in nowhere.text
    assert "<table" not in (await app.client.post(SIGN_OUT, headers=WANTED)).text


async def test_the_api_never_answers_by_a_page(app):
    response = await app.client.get("/api/v1/limits", headers=WANTED)
    problem(response, 401, "unauthenticated")


async def test_who_comes_from_another_site_is_led_on_by_this_one(app):
    crossing = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    arriving = await app.client.get(CHAT, headers=WANTED | crossing)
    assert arriving.status_code == 401
    assert '<meta http-equiv="refresh" content="0">' in arriving.text
    again = await app.client.get(CHAT, headers=WANTED | {"sec-fetch-site": "same-origin"})
    assert "refresh" not in again.text.replace("Please refresh the page", "")


async def test_files_are_kept_for_ever_under_the_address_that_names_their_content(app):
    shelf = Shelf()
    answer = await app.client.get(shelf.address("chat.js"), headers={"accept-encoding": "gzip"})
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("gzip", "accept-encoding")
    assert answer.content == (STATIC / "chat.js").read_bytes()
    plain = await app.client.get(shelf.address("chat.js"), headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content


async def test_a_file_of_another_release_is_given_but_not_kept(app):
    other = await app.client.get(f"/console/static/{'0' * 16}/chat.js")
    assert (other.status_code, other.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize("name", ["nothing.js", "../pages.py", "..%2fpages.py", "%2e%2e/pages.py", ""])
async def test_nothing_but_the_files_is_given(app, name):
    answer = await app.client.get(f"/console/static/{Shelf().digest}/{name}")
    problem(answer, 404, "not_found")


def test_another_content_is_another_address(tmp_path):
    (tmp_path / "one.js").write_text('import { two } from "./two.js";\n')
    (tmp_path / "two.js").write_text("export const two = 2;\n")
    (tmp_path / "notes.txt").write_text("not served")
    shelf = Shelf(tmp_path)
    assert (list(shelf.files), shelf.imported("one.js")) == (["one.js", "two.js"], ["one.js", "two.js"])
    assert gzip.decompress(shelf.files["two.js"].zipped) == b"export const two = 2;\n"
    before = shelf.address("one.js")
    (tmp_path / "two.js").write_text("export const two = 3;\n")
    assert Shelf(tmp_path).address("one.js") != before


def test_every_import_of_a_script_is_a_file():
    shelf = Shelf()
    for name in shelf.files:
        if name.endswith(".js"):
            assert set(shelf.imported(name)) <= set(shelf.files)


def test_where_people_come_by_tls_every_answer_says_so():
    assert dict(for_paths(secure=True)("/api/v1/usage")) == {
        b"strict-transport-security": b"max-age=31536000"
    }
    assert for_paths(secure=False)("/api/v1/usage") == ()
    assert dict(for_paths(secure=True)("/console/"))[b"strict-transport-security"] == b"max-age=31536000"
