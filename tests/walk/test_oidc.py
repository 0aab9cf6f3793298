"""Signing in by OpenID Connect: a running service, and a provider that others wrote."""

import re
from contextlib import ExitStack
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import httpx
import pytest
from msgspec import Struct

from tests.harness.chat import ROUTE
from tests.harness.openid import SECRET, Browser, OpenId
from tests.harness.ports import claim
from tests.harness.service import Service
from tests.harness.waiting import wait

CALLBACK, START = "/console/oidc/callback", "/console/oidc/start"
PEOPLE = {
    "ann": {"role": "AUDITOR", "groups": ["staff", "auditors"]},
    "bea": {"role": "CFO", "groups": ["board"]},
    "nobody": {"groups": []},
}


class Signing(Struct, frozen=True):
    """A service and the provider that it trusts."""

    service: Service
    provider: OpenId

    @property
    def start(self):
        return self.service.url + START


def site(port):
    return {"AGENT_PORT": str(port), "AGENT_PUBLIC_URL": f"http://127.0.0.1:{port}"}


@pytest.fixture(scope="module")
def signing(tmp_path_factory):
    port = claim()
    with OpenId(f"http://127.0.0.1:{port}{CALLBACK}", PEOPLE) as provider:
        settings = provider.settings | site(port)
        with Service(tmp_path_factory.mktemp("signing"), settings) as service:
            yield Signing(service, provider)


@pytest.fixture
def browser():
    with Browser() as browser:
        yield browser


def parameters(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def changed(url, **others):
    return urlunsplit(urlsplit(url)._replace(query=urlencode(parameters(url) | others)))


def told(response, status, title):
    """The words of a page that says what went wrong."""
    assert (response.status_code, response.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert f'href="{START}"' in response.text
    assert "session" not in response.cookies
    assert response.headers["x-request-id"] in response.text
    assert f"<h1>{title}</h1>" in response.text
    return response.text


def test_a_person_signs_in_asks_and_is_recorded(signing, browser):
    page = browser.sign_in(signing.start, "ann")
    assert page.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/console/">' in page.text
    given = {each.partition("=")[0]: each for each in page.headers.get_list("set-cookie")}
    assert given["session"].endswith("; HttpOnly; Max-Age=28800; Path=/; SameSite=strict")
    assert "Max-Age=0; Path=/console/oidc/" in given["sign_in"]
    assert (
        "<strong>ann</strong>, role <strong>AUDITOR</strong>"
        in browser.get(f"{signing.service.url}/console/").text
    )
    answer = browser.post(signing.service.url + ROUTE, json={"message": "Hello"}, headers={"accept": "*/*"})
    (row,) = signing.service.wait_for_rows(entityId=answer.json()["id"])
    assert (row["actorId"], row["role"]) == ("ann", "AUDITOR")
    line = signing.service.wait_for_line(type="session_begun", userId="ann")
    assert (line["role"], line["method"]) == ("AUDITOR", "oidc")


def test_the_way_there_is_bound_to_this_browser_and_short(signing, browser):
    begun = browser.get(signing.start)
    (cookie,) = begun.headers.get_list("set-cookie")
    assert re.fullmatch(
        r"sign_in=[\w-]+; HttpOnly; Max-Age=600; Path=/console/oidc/; SameSite=lax", cookie, re.ASCII
    )
    asked = parameters(begun.headers["location"])
    assert begun.headers["location"].startswith(signing.provider.issuer + "/")
    assert asked["redirect_uri"] == signing.service.url + CALLBACK
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert {"state", "nonce", "code_challenge"} <= asked.keys()


def test_nothing_secret_is_said_anywhere(signing, browser):
    answer = browser.answer_of(signing.start, "bea")
    secrets = [SECRET, browser.cookies["sign_in"], parameters(answer)["code"], parameters(answer)["state"]]
    browser.get(answer)
    secrets.append(browser.cookies["session"])
    signing.service.wait_for_line(type="session_begun", userId="bea")
    said = "\n".join([*signing.service.stdout, signing.service.stderr])
    assert not [each for each in secrets if each in said]
    kept = repr([*map(signing.service.sql, ("SELECT * FROM session", "SELECT * FROM revoked_session"))])
    assert not [each for each in secrets if each in kept]


def test_somebody_without_a_role_sees_why_and_is_recorded(signing, browser):
    denied = {"type": "access_denied", "category": "authorization", "route": f"GET {CALLBACK}"}
    before = len(signing.service.lines(**denied))
    text = told(browser.sign_in(signing.start, "nobody"), 403, "You are not let in")
    assert "You don&#39;t have permission to perform this action." in text
    assert "gives you no role that counts here" in text
    wait(lambda: len(signing.service.lines(**denied)) == before + 1, seen=signing.service.said)
    assert browser.get(f"{signing.service.url}/console/").status_code == 401


def test_who_says_no_at_the_provider_is_told_so(signing, browser):
    begun = browser.get(signing.start)
    form = browser.get(begun.headers["location"])
    page = browser.get(httpx.URL(signing.provider.issuer).join(form.headers["location"] + "/abort"))
    assert page.is_redirect
    answer = browser.get(httpx.URL(signing.provider.issuer).join(page.headers["location"]))
    assert parameters(answer.headers["location"])["error"] == "access_denied"
    text = told(browser.get(answer.headers["location"]), 403, "You are not let in")
    assert "The sign-in provider refused: access_denied." in text


def test_an_answer_that_came_before_is_refused(signing, browser):
    answer = browser.answer_of(signing.start, "ann")
    kept = browser.cookies["sign_in"]
    assert browser.get(answer).status_code == 200
    told(browser.get(answer), 401, "The sign-in did not finish")
    replayed = browser.get(answer, headers={"cookie": f"sign_in={kept}"})
    assert "was finished before" in told(replayed, 401, "The sign-in did not finish")


def test_the_answer_of_an_attacker_signs_nobody_in(signing, browser):
    """Login CSRF: somebody is led to the callback with the attacker's own code."""
    with Browser() as attacker:
        answer = attacker.answer_of(signing.start, "bea")
    told(browser.get(answer), 401, "The sign-in did not finish")
    browser.get(signing.start)
    told(browser.get(answer), 401, "The sign-in did not finish")


def test_a_stolen_code_is_of_no_use_without_its_verifier(signing, browser):
    """Code injection: the thief puts a stolen code into a sign-in of his own."""
    with Browser() as victim:
        stolen = parameters(victim.answer_of(signing.start, "bea"))["code"]
    own = browser.answer_of(signing.start, "ann")
    text = told(browser.get(changed(own, code=stolen)), 401, "The sign-in did not finish")
    assert "does not take its own code" in text


def test_an_answer_in_the_name_of_another_provider_is_refused(signing, browser):
    answer = browser.answer_of(signing.start, "ann")
    assert parameters(answer)["iss"] == signing.provider.issuer
    told(browser.get(changed(answer, iss="https://evil.example")), 401, "The sign-in did not finish")
    bare = parameters(answer)
    del bare["iss"]
    told(browser.get(f"{signing.service.url}{CALLBACK}?{urlencode(bare)}"), 401, "The sign-in did not finish")


def test_nobody_is_sent_back_elsewhere(signing, browser):
    begun = browser.get(signing.start).headers["location"]
    evil = browser.get(changed(begun, redirect_uri="https://evil.example/callback"))
    assert (evil.status_code, "location" in evil.headers) == (400, False)
    for to in (
        "https://evil.example/",
        "//evil.example",
        "/api/v1/usage",
        "/console/../x",
        "/console//x",
        "",
    ):
        refused = browser.get(signing.start, params={"to": to}, headers={"accept": "*/*"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "to")
    led = browser.sign_in(f"{signing.start}?to=/console/audit", "ann")
    assert 'content="0; url=/console/audit"' in led.text


def test_a_program_is_told_a_problem(signing, browser):
    refused = browser.get(signing.service.url + CALLBACK, headers={"accept": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    twice = f"{signing.service.url}{CALLBACK}?state=a&state=b"
    assert browser.get(twice, headers={"accept": "*/*"}).json()["code"] == "invalid_request"


def test_a_browser_that_is_nobody_is_led_to_the_provider_and_a_program_is_told(signing, browser):
    text = told(browser.get(f"{signing.service.url}/console/"), 401, "Sign in")
    assert ">Sign in</a>" in text
    program = browser.get(f"{signing.service.url}/console/", headers={"accept": "*/*"})
    assert (program.status_code, program.json()["code"]) == (401, "unauthenticated")
    assert browser.get(f"{signing.service.url}/api/v1/usage").json()["code"] == "unauthenticated"


def test_signing_out_ends_it(signing, browser):
    browser.sign_in(signing.start, "ann")
    token = browser.cookies["session"]
    assert browser.post(f"{signing.service.url}/console/logout").status_code == 200
    gone = browser.get(f"{signing.service.url}/console/", headers={"cookie": f"session={token}"})
    assert gone.status_code == 401


def test_without_a_provider_there_is_no_such_way(service):
    assert httpx.get(service.url + START, trust_env=False).status_code == 404


@pytest.fixture
def production(start_service):
    """A service of which a provider is the only way in, and the provider, which is not there yet."""
    port = claim()
    provider = OpenId(f"http://127.0.0.1:{port}{CALLBACK}", PEOPLE)
    settings = provider.settings | site(port)
    del settings["AGENT_OIDC_CLIENT_SECRET"]
    service = start_service(
        **settings
        | {"AGENT_OIDC_CLIENT_ID": "public", "AGENT_OIDC_ROLE_CLAIM": "groups"}
        | {"AGENT_OIDC_ROLES": "board=CFO,auditors=AUDITOR,staff=AUDITEE"}
        | {"AGENT_ENVIRONMENT": "production", "AGENT_SECRET_KEY": "s" * 40, "AGENT_SIMULATOR": "true"}
    )
    return Signing(service, provider)


def test_in_production_it_is_the_only_way_in_and_the_provider_may_come_later(production, browser):
    service = production.service
    assert "Console" not in service.stderr
    away = browser.get(production.start)
    assert "cannot be reached" in told(away, 503, "The sign-in provider cannot be reached")
    assert int(away.headers["retry-after"]) >= 1
    assert service.wait_for_line(type="sign_in_failed")["level"] == "WARN"
    with production.provider:
        wait(lambda: browser.get(production.start).status_code == 303, seen=service.said)
        page = browser.sign_in(production.start, "ann")
        assert page.status_code == 200, page.text
        assert all(each.lower().endswith("; secure") for each in page.headers.get_list("set-cookie"))
        assert "role <strong>AUDITOR</strong>" in browser.get(f"{service.url}/console/").text
        answer = browser.answer_of(production.start, "bea")
    assert "cannot be reached" in told(browser.get(answer), 503, "The sign-in provider cannot be reached")
    wait(lambda: "token endpoint: " in service.lines(type="sign_in_failed")[-1]["error"], seen=service.said)


@pytest.fixture
def namesakes(start_service):
    """A service whose provider tells tenants: two browsers of two people of one name."""
    port, auditor = claim(), {"user": "ann", "role": "AUDIT_HEAD"}
    people = {f"ann-{tenant}": auditor | {"tenant": tenant} for tenant in ("acme", "bolt")}
    claims = {"AGENT_OIDC_USER_CLAIM": "user", "AGENT_OIDC_TENANT_CLAIM": "tenant"}
    with OpenId(f"http://127.0.0.1:{port}{CALLBACK}", people) as provider, ExitStack() as opened:
        service = start_service(**provider.settings, **site(port), **claims)
        browsers = {name: opened.enter_context(Browser()) for name in people}
        for name, browser in browsers.items():
            assert browser.sign_in(service.url + START, name).status_code == 200
            asked = browser.post(
                service.url + ROUTE, json={"message": f"I am {name}"}, headers={"accept": "*/*"}
            )
            service.wait_for_rows(entityId=asked.json()["id"])
        yield service, browsers


@pytest.mark.parametrize("path", ["/console/audit", "/console/queries", "/api/v1/audit/events"])
def test_a_browser_is_shown_the_tenant_that_the_provider_told_and_no_other(namesakes, path):
    service, browsers = namesakes
    for name, browser in browsers.items():
        text = browser.get(service.url + path).text
        assert [each for each in browsers if f"I am {each}" in text] == [name]
