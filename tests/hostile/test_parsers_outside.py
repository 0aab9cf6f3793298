"""Parsers of what browsers, providers, models and pages send, given what is near to a good form."""

import asyncio
import contextlib
import json
from urllib.parse import urlencode, urlsplit

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Request, post

from service.agent.upstream.frames import Frames, json_of
from service.auth.credentials import Credentials, one_cookie
from service.auth.pending import COOKIE, Drawer
from service.auth.provider import described, keys_of
from service.auth.roles import Roles
from service.auth.site import refuse_other_sites
from service.cli.sheet import lines_of
from service.errors import CrossSite, Forbidden, InvalidRequest, ServiceError, ToolFailed, Unauthenticated
from service.tools.fetch import kind, page, target
from service.tools.foreign import Unfit
from service.tools.foreign import read as schema_of
from service.web import parameters
from service.web.ask import AttachmentBody
from service.web.attachments import read as files_of
from service.web.console.events import found_at
from service.web.console.forms import FORM, pairs_of, read_form
from service.web.console.keys import KeyForm
from service.web.console.oidc import Wish, answer_of
from service.web.console.queries import ListQuery
from service.web.export import FORMULA, HEADER, cell
from tests.hostile.mutation import fuzzed, near, near_text, texts
from tests.service.auth.mint import Mint

DRAWER = Drawer((b"k" * 32,), lambda: 1)
PENDING = DRAWER.begin("/console/")
SEALED = DRAWER.seal(PENDING)
FIELDS = urlencode({"user": "ann", "role": "AUDITOR", "expires": "90d", "wish": "0" * 32}).encode()
ISSUER = "https://issuer.example"
ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "userinfo_endpoint",
    "end_session_endpoint",
)
DOCUMENT = json.dumps({"issuer": ISSUER} | {name: f"{ISSUER}/{name}" for name in ENDPOINTS}).encode()
KEYS = json.dumps({"keys": [Mint("ES256", "k1").jwk]}).encode()
ROLES = Roles("sub", "groups", {"heads": "AUDIT_HEAD"})
CLAIMS = {"sub": "ann", "groups": ["heads"], "email": "ann@x.example", "email_verified": True}
FRAMES = (
    b'event: text\ndata: {"a": 1}\n\nevent: ping\ndata: {}\n\r\n: x\nevent: done\ndata: {\ndata: }\r\n\r\n'
)
PAGE = '<html><head><meta charset="utf-8"><title>T</title></head><body><a href="/x">a</a><script>s</script>'
SCHEMA = {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"type": "string"}}}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKMSAwIG9iago8PC9UeXBlL1BhZ2VzL0NvdW50IDI+PgplbmRvYmoK"


@post("/", request_max_body_size=65_536)
async def page_handler() -> None:
    """A page that takes a form."""


PAGE_HANDLER = Litestar([page_handler]).routes[0].route_handlers[0]


def asking(body, content_type=FORM):
    """A request as a page gets it."""

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", content_type.encode("latin-1", "replace"))]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "state": {}}
    return Request(scope | {"route_handler": PAGE_HANDLER}, receive)


@fuzzed
@given(near(FIELDS), st.one_of(st.just(FORM), near_text(FORM)))
def test_a_form_is_read_or_refused_by_name(body, content_type):
    with contextlib.suppress(ServiceError):
        pairs = asyncio.run(pairs_of(asking(body, content_type)))
        assert all(isinstance(each, str) for pair in pairs for each in pair)
    with contextlib.suppress(ServiceError):
        form = asyncio.run(read_form(KeyForm, asking(body)))
        assert form.wish == "" or (len(form.wish) == 32 and form.wish.isalnum())


@fuzzed
@given(near(b"find=abc&traceId=0123456789abcdef0123456789abcdef&limit=25&cursor=x"))
def test_the_parameters_of_a_page_are_read_or_refused_by_name(query):
    with contextlib.suppress(InvalidRequest):
        assert 1 <= parameters.read(ListQuery, query).limit <= 200


@fuzzed
@given(near_text("0123456789abcdef0123456789abcdef"))
def test_whatever_is_looked_for_leads_to_a_page_of_the_audit(sought):
    with contextlib.suppress(UnicodeEncodeError):
        led = found_at(sought)
        assert led.startswith("/console/audit")
        assert led.isascii()
        assert led.isprintable()


@fuzzed
@given(near(b"to=/console/audit/verify"))
def test_a_sign_in_leads_to_the_console_alone(query):
    with contextlib.suppress(InvalidRequest):
        to = parameters.read(Wish, query).to
        split = urlsplit(to)
        assert (split.scheme, split.netloc) == ("", "")
        assert split.path.startswith("/console/")
        assert "//" not in to
        assert to.isprintable()


@fuzzed
@given(near_text(SEALED), st.one_of(st.just(PENDING.state), near_text(PENDING.state)))
def test_no_sign_in_under_way_is_opened_that_was_not_begun(cookie, state):
    with contextlib.suppress(Unauthenticated):
        assert DRAWER.open(cookie, state) == PENDING
        assert state == PENDING.state


@fuzzed
@given(near_text(f"a=b; {COOKIE}={SEALED}; session=x"))
def test_a_cookie_is_found_or_is_none(cookies):
    with contextlib.suppress(ServiceError):
        assert isinstance(one_cookie(cookies, COOKIE), str)


@fuzzed
@given(near(b"state=abc&code=def&iss=https%3A%2F%2Fissuer.example&error=&scope=openid"))
def test_what_a_provider_answers_is_read_or_refused(query):
    with contextlib.suppress(InvalidRequest):
        assert all(len(each) <= 4_096 for each in msgspec.structs.astuple(answer_of(query)))


@fuzzed
@given(near(DOCUMENT))
def test_a_provider_is_the_issuer_and_leads_by_its_scheme(document):
    with contextlib.suppress(ValueError):
        provider = described(document, ISSUER)
        assert provider.issuer == ISSUER
        assert all(
            urlsplit(each).scheme == "https" and urlsplit(each).hostname for each in provider.endpoints
        )


@fuzzed
@given(near(KEYS))
def test_a_set_of_keys_is_read_or_refused(document):
    with contextlib.suppress(ValueError):
        assert isinstance(keys_of(document), dict)


@fuzzed
@given(near(json.dumps(CLAIMS).encode()))
def test_claims_name_somebody_with_a_role_or_nobody(claims):
    with contextlib.suppress(ValueError, Forbidden, Unauthenticated):
        found = json.loads(claims)
        if isinstance(found, dict):
            person = ROLES.person(found)
            assert person.role == "AUDIT_HEAD"
            assert person.user_id.split() == [person.user_id]


@fuzzed
@given(near_text("https://parley.example:443"), st.one_of(st.none(), near_text("same-origin")))
def test_only_this_very_site_passes(origin, fetched):
    given_by = Credentials(origin=origin, host="parley.example", sec_fetch_site=fetched)
    with contextlib.suppress(CrossSite):
        refuse_other_sites(given_by)
        named = origin.lower().partition("://")[2]
        assert named in {"parley.example", "parley.example:443", "parley.example:80"}


@fuzzed
@given(near(FRAMES), st.integers(1, 9))
def test_what_a_model_sends_is_the_same_however_it_is_cut(data, size):
    whole, pieces = Frames(), Frames()
    with contextlib.suppress(ValueError):
        told = [frame for at in range(0, len(data), size) for frame in pieces.of(data[at : at + size])]
        assert whole.of(data) == told
        for _, text in told:
            json_of(text)


@fuzzed
@given(near_text("text/html; charset=utf-8"), near(PAGE.encode()))
def test_a_page_is_read_or_refused_and_leads_to_the_web_alone(content_type, body):
    with contextlib.suppress(ToolFailed):
        told = kind.decode(body, kind.read(content_type))
        title, text, _ = page.read(told, "https://page.example/a")
        assert isinstance(title + text, str)


@fuzzed
@given(near_text("https://user@host.example:8443/a/b?c=d#e"))
def test_an_address_is_one_of_the_web_or_is_refused(url):
    with contextlib.suppress(ToolFailed):
        found = target.read(url)
        assert found.scheme in {"http", "https"}
        assert found.url.isascii()
        assert found.url.isprintable()
        assert "@" not in found.authority


@fuzzed
@given(near(json.dumps(SCHEMA).encode()), near(b'{"a": "x"}'))
def test_a_tools_schema_is_taken_or_unfit_and_so_are_arguments(schema, arguments):
    with contextlib.suppress(ValueError, RecursionError, Unfit):
        schema_of(json.loads(schema)).decode(json.loads(arguments))


@fuzzed
@given(near_text(PNG), st.sampled_from(["image/png", "application/pdf"]))
def test_a_file_is_one_or_is_named(data, media):
    files, errors = files_of([AttachmentBody(type=media, data=data if media == "image/png" else PDF)], 4)
    assert len(files) + len(errors) == 1


@fuzzed
@given(texts())
def test_no_cell_of_any_text_is_a_formula(text):
    assert not cell(text).startswith(FORMULA)


@fuzzed
@given(
    near(",".join(f'"{name}"' for name in HEADER).encode() + b'\r\n"a","b","{}","{""columns"": """"}"\r\n')
)
def test_a_sheet_is_read_line_by_line_as_objects(data):
    with contextlib.suppress(UnicodeDecodeError):
        for line in lines_of(data.decode().splitlines(keepends=True)):
            assert isinstance(json.loads(line), dict)
