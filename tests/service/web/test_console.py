"""The console's three routes in process: the link that is good once, the page, the way out."""

import re

import pytest

from service.web import console
from service.web.console import HOME, SIGN_IN, SIGN_OUT
from tests.harness.problems import problem


@pytest.fixture
async def app(web, monkeypatch):
    """The application without a credential; `sessions` are its own."""
    sessions, make = [], console.routes

    def seen(door, desk, *, secure, simulated):
        sessions.append(door.sessions)
        return make(door, desk, secure=secure, simulated=simulated)

    monkeypatch.setattr(console, "routes", seen)
    made = await web()
    del made.client.headers["authorization"]
    made.sessions = sessions[0]
    return made


async def sign_in(app, user="dev-auditor", role="AUDIT_HEAD"):
    return await app.client.get(SIGN_IN, params={"code": app.sessions.invite(user, role)})


async def test_a_code_gives_a_cookie_that_only_this_site_can_send(app):
    response = await sign_in(app)
    assert (response.status_code, response.headers["location"], response.content) == (303, HOME, b"")
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


async def test_outside_development_the_cookie_goes_by_tls_only(web, monkeypatch):
    sessions, make = [], console.routes

    def seen(door, desk, *, secure, simulated):
        sessions.append(door.sessions)
        return make(door, desk, secure=secure, simulated=simulated)

    monkeypatch.setattr(console, "routes", seen)
    made = await web(environment="production")
    response = await made.client.get(SIGN_IN, params={"code": sessions[0].invite("ann", "CFO")})
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


async def test_the_page_holds_no_script_and_nothing_from_elsewhere(app):
    await sign_in(app)
    page = await app.client.get(HOME)
    policy = page.headers["content-security-policy"]
    assert policy == "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script|<link|<img|style=|\son\w+=|https?:|//", page.text)


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
    assert "<script" not in page.text
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;$role" in page.text


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
