"""Every answer below /console, whatever it is: kept by nobody, and a browser may do with it what it says."""

import re

import pytest
from litestar import Litestar

from service.app import face
from service.web.console import SIGN_IN
from service.web.console.headers import HEADERS, POLICY
from service.web.console.navigation import PAGES

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")
PAGE, PROGRAM = {"accept": "text/html"}, {"accept": "application/json"}


@pytest.fixture
async def whole(web, monkeypatch):
    """The application with all its routes, and a browser's session of an AUDIT_HEAD."""
    made = []

    class Kept(Litestar):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr(face, "Litestar", Kept)
    doors, build = [], face.console_routes

    def seen(pages, settings, database, derived, door, *rest):
        doors.append(door)
        return build(pages, settings, database, derived, door, *rest)

    monkeypatch.setattr(face, "console_routes", seen)
    given = await web()
    del given.client.headers["authorization"]
    given.paths = sorted(
        {route.path for route in made[0].routes if route.path.startswith("/console")} | {"/"}
    )
    given.door = doors[0]
    return given


def checked(answer, where):
    """The headers of an answer are those of the console."""
    assert answer.headers["cache-control"] == "no-store", where
    for name, value in HEADERS.items():
        assert answer.headers.get(name) == value, (where, name)
    assert answer.headers["x-request-id"], where


async def test_every_answer_of_every_route_has_the_headers_of_the_console(whole):
    assert len(whole.paths) > 12
    assert {way.path for way in PAGES} <= set(whole.paths)
    seen = set()
    session = await whole.door.sessions.begin("head", "AUDIT_HEAD", "link")
    guest = await whole.door.sessions.begin("ann", "GUEST", "link")
    for path in (*whole.paths, "/console/nowhere", "/console/settings?nothing=1"):
        address = re.sub(r"\{[^}]*\}", "0", path)
        for token in (None, guest, session):
            cookie = {"cookie": f"session={token}"} if token else {}
            for method in METHODS:
                for kind in (PAGE, PROGRAM):
                    answer = await whole.client.request(method, address, headers=cookie | kind)
                    checked(answer, (method, address, answer.status_code))
                    seen.add(answer.status_code)
                    if method == "POST" and answer.is_success:
                        session = await whole.door.sessions.begin("head", "AUDIT_HEAD", "link")
    assert {200, 204, 303, 400, 401, 403, 404, 405, 415} <= seen
    assert not {status for status in seen if status >= 500}


async def test_an_error_of_ours_has_them_too(whole):
    session = await whole.door.sessions.begin("head", "AUDIT_HEAD", "link")
    await whole.database.close()
    for kind in (PAGE, PROGRAM):
        answer = await whole.client.get("/console/keys", headers={"cookie": f"session={session}"} | kind)
        assert answer.status_code == 500
        checked(answer, "a database that is away")
    huge = await whole.client.post("/console/keys", content=b"x" * (17 << 10), headers=PAGE)
    checked(huge, huge.status_code)


async def test_a_cookie_that_begins_or_ends_a_session_is_no_exception(whole):
    begun = await whole.client.get(SIGN_IN, params={"code": whole.door.sessions.invite("ann", "CFO")})
    assert begun.status_code == 303
    checked(begun, "sign-in")
    ended = await whole.client.post("/console/logout", headers=PAGE)
    assert ended.status_code == 200
    checked(ended, "sign-out")


async def test_no_answer_of_the_api_has_a_policy_that_is_the_consoles(whole):
    answer = await whole.client.get("/api/v1/limits")
    assert answer.headers["content-security-policy"] != POLICY
    assert "unsafe" not in POLICY
