"""Signing in at a running service: issuers' tokens, cookies, the console's link, and everybody else."""

import itertools
import json
import re
import subprocess
import threading
import time

import httpx
import pytest
from msgspec import Struct

from tests.conftest import MANY
from tests.harness.chat import ROUTE, ask, stream
from tests.harness.process import Process
from tests.harness.service import PROGRAM, Service
from tests.harness.telling import told
from tests.harness.waiting import wait
from tests.service.auth.forged import forged
from tests.service.auth.jwks import KeyServer
from tests.service.auth.mint import ALGORITHMS, SECRET, Mint

OWN = "/api/v1/limits"
LATER = 3_600
"""Seconds ahead, so that a slow run does not catch up with what is not yet."""

MINT = Mint("ES256", "k1")


class Trusting(Struct, frozen=True):
    """A service that trusts an issuer, the issuer's keys, and a forger's."""

    service: Service
    issuer: KeyServer
    forger: KeyServer


@pytest.fixture(scope="module")
def trusting(receiver, tmp_path_factory):
    with KeyServer(MINT) as issuer, KeyServer(Mint("ES256", "theirs")) as forger:
        settings = {"AGENT_JWT_ALGORITHM": "ES256", "AGENT_JWT_JWKS_URL": issuer.url}
        settings["AGENT_AUTH_FAILURES"] = "0"  # hundreds of forgeries come within a minute
        exporting = receiver.settings() | {"OTEL_BSP_SCHEDULE_DELAY": "100"}
        with Service(tmp_path_factory.mktemp("trusting"), settings | MANY | exporting) as service:
            yield Trusting(service, issuer, forger)


@pytest.fixture
def client(trusting):
    with httpx.Client(base_url=trusting.service.url, trust_env=False) as client:
        yield client


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def cookie(token):
    return {"Cookie": f"session={token}"}


def sendable(tokens):
    """Those that HTTP can carry as they are: it takes blanks around a value for nothing."""
    return {
        name: each
        for name, each in tokens.items()
        if each and each.isascii() and each.isprintable() and each == each.strip()
    }


def sign_in(service):
    """Sign in at the console and give the session's token; the code must be fresh."""
    response = httpx.get(service.console, trust_env=False)
    assert response.status_code == 303, response.text
    return response.cookies["session"]


@pytest.mark.parametrize("carry", [bearer, cookie])
def test_a_token_of_the_issuer_asks_and_is_recorded(trusting, carry):
    token = MINT.token(sub="jane", role="AUDITOR")
    answer = ask(trusting.service, "Hello", key="", headers=carry(token))
    assert answer.status_code == 200
    (row,) = trusting.service.wait_for_rows(entityId=answer.json()["id"])
    assert (row["actorId"], row["role"]) == ("jane", "AUDITOR")
    assert token not in repr(trusting.service.sql('SELECT * FROM "AuditEvent"'))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_is_set_by_itself(start_service, algorithm):
    mint = Mint(algorithm)
    key = {"AGENT_JWT_SECRET": SECRET} if algorithm == "HS256" else {"AGENT_JWT_PUBLIC_KEY": mint.pem}
    service = start_service(AGENT_JWT_ALGORITHM=algorithm, **key)
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        assert client.get(OWN, headers=bearer(mint.token())).status_code == 200
        assert client.get(OWN, headers=bearer(service.api_key)).status_code == 200
        assert client.get(OWN, headers=bearer(mint.token(exp=1))).status_code == 401
    assert SECRET not in service.said()


def test_no_forgery_is_taken_and_no_forger_is_asked(trusting, client):
    sent = sendable(forged(MINT, trusting.forger.url, ahead=LATER))
    assert len(sent) >= 120
    taken = [
        (name, carry.__name__)
        for (name, token), carry in itertools.product(sent.items(), (bearer, cookie))
        if client.get(OWN, headers=carry(token)).status_code not in {400, 401}
    ]
    assert taken == []
    assert trusting.forger.asked == []
    assert client.get(OWN, headers=bearer(MINT.token())).status_code == 200


def test_no_forged_session_and_no_forged_key_is_taken(trusting, client):
    guessed = sendable(forged(Mint("HS256", "parley-session"), trusting.forger.url, ahead=LATER))
    good = trusting.service.api_key
    keys = [
        good[:-1],
        good + "0",
        good.upper(),
        good[:24] + "0" * 64,
        f"parley_{'0' * 16}_{'0' * 64}",
        "parley_",
    ]
    for token in guessed.values():
        assert client.get(OWN, headers=cookie(token)).status_code in {400, 401}
    for key in keys:
        assert client.get(OWN, headers=bearer(key)).status_code == 401
        assert client.get(OWN, headers=cookie(key)).status_code == 401
    assert client.get(OWN, headers=bearer(good)).status_code == 200


def test_a_forged_token_on_the_chat_route_is_a_turn_that_was_refused(trusting):
    answer = ask(trusting.service, "Hello", key="", headers=bearer(MINT.token(exp=1)))
    body = answer.json()
    assert (answer.status_code, body["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    (row,) = trusting.service.wait_for_rows(entityId=body["requestId"])
    assert (row["action"], row["actorId"], row["metadata"]["category"]) == ("REFUSED", None, "authentication")


def test_another_sites_cookie_is_a_turn_that_was_refused_as_authorization(trusting, receiver):
    token = MINT.token(sub="jane")
    answer = ask(trusting.service, "Hello", key="", headers=cookie(token) | {"Origin": "http://evil.example"})
    body = answer.json()
    assert (answer.status_code, body["category"], body["code"]) == (403, "authorization", "cross_site")
    turn = told(trusting.service, receiver, body["requestId"])
    assert (turn.row["action"], turn.row["outcome"], turn.row["code"]) == ("REFUSED", "refused", "cross_site")
    assert (turn.row["actorId"], turn.row["costMicros"]) == (None, 0)
    assert (turn.line["type"], turn.line["level"], turn.line["category"]) == (
        "access_denied",
        "WARN",
        "authorization",
    )
    assert turn.line["route"] == f"POST {ROUTE}"
    assert turn.server.attributes["parley.error.code"] == "cross_site"


SITES = {None: True, "same-origin": True, "none": True, "same-site": False, "cross-site": False}
ORIGINS = {
    None: True,
    "own": True,
    "null": False,
    "http://evil.example": False,
    "https": True,
    "port": False,
}


@pytest.mark.parametrize("carry", [bearer, cookie])
def test_sites_and_origins_matter_to_cookies_alone(trusting, client, carry):
    url = trusting.service.url
    named = {"own": url, "https": url.replace("http:", "https:"), "port": url[:-1] + str(9 - int(url[-1]))}
    for (site, site_passes), (origin, origin_passes) in itertools.product(SITES.items(), ORIGINS.items()):
        headers = carry(MINT.token())
        headers |= {"Sec-Fetch-Site": site} if site else {}
        headers |= {"Origin": named.get(origin, origin)} if origin else {}
        passes = (site_passes and origin_passes) or carry is bearer
        assert client.get(OWN, headers=headers).status_code == (200 if passes else 403), (site, origin)


def test_behind_a_proxy_that_ends_tls_the_host_it_passes_on_counts(client):
    headers = cookie(MINT.token()) | {"Origin": "https://parley.example"}
    assert client.get(OWN, headers=headers | {"Host": "parley.example"}).status_code == 200
    for forwarded in ({}, {"X-Forwarded-Host": "parley.example", "X-Forwarded-Proto": "https"}):
        assert client.get(OWN, headers=headers | forwarded).status_code == 403


def test_a_cookie_streams_and_replays_like_any_other_credential(trusting):
    token = MINT.token(sub="streamer")
    with stream(trusting.service, "Hello", key="", headers=cookie(token)) as answer:
        assert answer.rest()[-1].event == "done"
    headers = cookie(token) | {"Idempotency-Key": "once"}
    first, second = (ask(trusting.service, "Hello", key="", headers=headers) for _ in range(2))
    assert second.headers["idempotency-replayed"] == "true"
    assert first.json() == second.json()


def test_the_curl_of_a_signed_in_person_works_as_written(trusting):
    token = MINT.token(sub="curl", role="AUDITOR")
    done = subprocess.run(
        [
            *("curl", "-s", "--noproxy", "*", "-X", "POST", trusting.service.url + ROUTE),
            *("-H", "Content-Type: application/json", "-H", f"Cookie: session={token}"),
            *("-d", '{"message": "What is 12*7?"}'),
        ],
        capture_output=True,
        check=True,
        timeout=60,
    )
    answer = json.loads(done.stdout)
    assert answer["toolsCalled"] == ["calculate"]
    (row,) = trusting.service.wait_for_rows(entityId=answer["id"])
    assert row["actorId"] == "curl"


class Load:
    """Eight callers who sign with whichever mint is there; `answers` are key ids and statuses."""

    def __init__(self, service, mint):
        self.service, self.mint, self.answers = service, mint, []
        self._stop = threading.Event()
        self._callers = [threading.Thread(target=self._call) for _ in range(8)]

    def __enter__(self):
        for caller in self._callers:
            caller.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for caller in self._callers:
            caller.join()

    def _call(self):
        with httpx.Client(base_url=self.service.url, trust_env=False) as client:
            while not self._stop.is_set():
                mint = self.mint
                status = client.get(OWN, headers=bearer(mint.token())).status_code
                self.answers.append((mint.kid, status))

    def wait(self, kid, count):
        """Wait until so many calls with this key are answered."""
        wait(lambda: sum(each == kid for each, _ in self.answers) > count, seen=self.service.said)


def test_the_keys_rotate_under_load_and_no_call_fails(start_service):
    old, new = Mint("EdDSA", "old"), Mint("EdDSA", "new")
    with KeyServer(old) as issuer:
        service = start_service(AGENT_JWT_ALGORITHM="EdDSA", AGENT_JWT_JWKS_URL=issuer.url)
        with Load(service, old) as load:
            load.wait("old", 50)
            time.sleep(10.5)  # the pause between two fetches; then a key may be new from one call to the next
            issuer.publish(old, new)
            load.mint = new
            load.wait("new", 200)
        assert {status for _, status in load.answers} == {200}
        assert len(issuer.asked) == 2


def test_an_issuer_that_is_away_is_a_network_error_and_keys_go_on(start_service):
    with KeyServer() as gone:
        url = gone.url
    service = start_service(AGENT_JWT_ALGORITHM="ES256", AGENT_JWT_JWKS_URL=url)
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        answer = client.get(OWN, headers=bearer(MINT.token()))
        assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unreachable")
        assert answer.headers["retry-after"] == "1"
        assert url not in answer.text
        assert client.get(OWN, headers=bearer(service.api_key)).status_code == 200
    assert service.wait_for_line(type="signing_keys_unfetched")["level"] == "WARN"


def test_the_consoles_link_signs_in_once(start_service):
    service = start_service()
    assert re.fullmatch(re.escape(service.url) + r"/console/sign-in\?code=[\w-]{43}", service.console)
    order = [line.partition(":")[0] for line in service.stderr.splitlines()]
    assert order[-3:] == ["API key", "Console", "Ready"]
    token = sign_in(service)
    again = httpx.get(service.console, trust_env=False)
    assert (again.status_code, again.json()["code"]) == (401, "unauthenticated")
    with httpx.Client(base_url=service.url, trust_env=False, headers=cookie(token)) as browser:
        assert "dev-auditor" in browser.get("/console/").text
        assert browser.get("/api/v1/audit/events").status_code == 200
        answer = browser.post(ROUTE, json={"message": "Hello"}).json()
    (row,) = service.wait_for_rows(entityId=answer["id"])
    assert (row["actorId"], row["role"]) == ("dev-auditor", "AUDIT_HEAD")
    code = service.console.partition("code=")[2]
    assert not [line for line in service.stdout if code in line or token in line]
    line = service.wait_for_line(type="access_denied", route="GET /console/sign-in")
    assert line["category"] == "authentication"


def test_a_session_outlives_a_restart_and_its_end_does_too(start_service):
    service = start_service()
    first = sign_in(service)
    assert service.stop() == 0
    service.start()
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        second = sign_in(service)
        assert client.get("/console/", headers=cookie(first)).status_code == 200
        out = client.post("/console/logout", headers=cookie(first) | {"Origin": service.url})
        assert (out.status_code, "Max-Age=0" in out.headers["set-cookie"]) == (200, True)
        assert client.get("/console/", headers=cookie(first)).status_code == 401
    service.kill()
    service.start()
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        refused = client.get("/console/", headers=cookie(first))
        assert (refused.status_code, refused.json()["detail"]) == (401, "The session was ended.")
        assert client.get("/console/", headers=cookie(second)).status_code == 200
    assert first not in repr(service.sql("SELECT * FROM revoked_session"))


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_session_ended_at_one_process_is_ended_at_all(engine, tmp_path, request):
    url = {"DATABASE_URL": request.getfixturevalue("postgres").database()} if engine == "postgres" else {}
    with Service(tmp_path, MANY | url) as one, Service(tmp_path, MANY | url) as two:
        token = sign_in(one)
        with httpx.Client(trust_env=False, headers=cookie(token)) as client:
            assert client.get(f"{two.url}/console/").status_code == 200
            assert client.post(f"{two.url}/console/logout").status_code == 200
            assert client.get(f"{one.url}/console/").status_code == 401
        assert httpx.get(one.console.replace(one.url, two.url), trust_env=False).status_code == 401


def test_in_production_there_is_no_link_and_no_code(start_service):
    service = start_service(AGENT_ENVIRONMENT="production", AGENT_SECRET_KEY="s" * 40, AGENT_SIMULATOR="true")
    assert "Console" not in service.stderr
    assert httpx.get(f"{service.url}/console/sign-in?code=x", trust_env=False).status_code == 401


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"AGENT_JWT_ALGORITHM": "ES256"}, "AGENT_JWT_PUBLIC_KEY"),
        ({"AGENT_JWT_ALGORITHM": "ES256", "AGENT_JWT_PUBLIC_KEY": "key"}, "AGENT_JWT_PUBLIC_KEY"),
        ({"AGENT_JWT_ALGORITHM": "ES256", "AGENT_JWT_PUBLIC_KEY": Mint("RS256").pem}, "AGENT_JWT_PUBLIC_KEY"),
        ({"AGENT_JWT_SECRET": "short"}, "AGENT_JWT_SECRET"),
        ({"AGENT_JWT_SECRET": MINT.pem}, "AGENT_JWT_SECRET"),
        ({"AGENT_JWT_JWKS_URL": "http://127.0.0.1:9"}, "AGENT_JWT_JWKS_URL"),
    ],
)
def test_an_issuer_that_cannot_be_trusted_stops_the_start_by_name(tmp_path, settings, named):
    with Process([*PROGRAM, "serve"], tmp_path, {"AGENT_PORT": "0"} | settings) as process:
        process._popen.wait(30)
        process.kill()
        assert process.code == 2
        (said,) = [line for line in process.stderr if line.startswith("parley: ")]
        assert said.startswith(f"parley: {named}: ")
        assert process.stdout == []
        assert "Traceback" not in process.said()
