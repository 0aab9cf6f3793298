"""The SERVER span's name and route, and which requests have none."""

import httpx
import pytest
from litestar import Litestar, get, post
from litestar.params import FromPath

from service.web.server_span import details, led
from telemetry import spans
from tests.harness.chat import ask
from tests.harness.sdk import traced


@pytest.fixture(scope="module")
def litestar():
    @post("/api/v1/agent/chat")
    async def chat() -> None: ...

    @get("/things/{thing:str}")
    async def thing(thing: FromPath[str]) -> None: ...

    return Litestar([chat, thing], openapi_config=None, logging_config=None)


@pytest.mark.parametrize(
    ("method", "path", "name", "route"),
    [
        ("POST", "/api/v1/agent/chat", "POST /api/v1/agent/chat", "/api/v1/agent/chat"),
        ("POST", "//api/v1/agent/chat/", "POST /api/v1/agent/chat", "/api/v1/agent/chat"),
        ("GET", "/things/secret-7", "GET /things/{thing}", "/things/{thing}"),
        ("GET", "/api/v1/agent/chat", "GET", None),
        ("GET", "/nowhere/secret", "GET", None),
        ("GET", "/\udcff", "GET", None),
        ("GET", "", "GET", None),
        ("BREW", "/things/x", "HTTP", None),
        ("x" * 1000, "/", "HTTP", None),
    ],
)
def test_it_is_named_by_its_route_and_never_by_its_path(litestar, method, path, name, route):
    named, attributes = details(litestar, {"method": method, "path": path})
    assert named == name
    assert attributes.get("http.route") == route


TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("headers", "trace_id"),
    [
        ([(b"host", b"a"), (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())], TRACE),
        ([(b"traceparent", b"00-none-01")], None),
        ([(b"host", b"a")], None),
        ([], None),
    ],
)
async def test_where_nobody_takes_spans_a_request_is_led_by_its_callers_trace_alone(headers, trace_id):
    async def app(*given):
        seen.append((spans.trace_here(), *given))

    seen, given = [], ({"type": "http", "headers": headers}, "receive", "send")
    await led(app)(*given)
    assert seen == [(trace_id, *given)]
    assert spans.trace_here() is None


async def test_a_request_that_fails_leaves_its_callers_trace_too():
    async def app(*_):
        raise LookupError

    headers = [(b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())]
    with pytest.raises(LookupError):
        await led(app)({"type": "http", "headers": headers}, None, None)
    assert spans.trace_here() is None


def test_a_service_without_a_collector_joins_its_callers_trace(start_service):
    service = start_service()
    answer = ask(service, "hello", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    alone = ask(service, "hello").headers["x-trace-id"]
    assert answer.headers["x-trace-id"] == TRACE
    assert alone != TRACE
    assert [row["metadata"]["traceId"] for row in service.wait_for_rows(2)] == [TRACE, alone]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_the_health_routes_leave_no_span(service, receiver, path):
    assert httpx.get(service.url + path, trust_env=False).status_code == 200
    seen = ask(service, "hello").headers["x-trace-id"]
    receiver.wait_for_trace(seen)
    assert not [span for span in receiver.spans() if path in str(span)]


def test_a_host_header_hides_nothing(service, receiver):
    answer = ask(service, "hello", headers={"Host": "x/health/"})
    spans = receiver.wait_for_trace(answer.headers["x-trace-id"])
    assert [span.name for span in spans if span.kind == "SERVER"] == ["POST /api/v1/agent/chat"]


def test_a_query_string_is_on_no_span_and_still_reaches_its_route(start_service, receiver):
    service = start_service(receiver)
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        answer = client.get("/api/v1/usage?words=canary-1")
        spans = receiver.wait_for_trace(answer.headers["x-trace-id"])
        assert "canary-1" not in str(spans)
        assert answer.status_code == 401
        told = client.get(
            "/api/v1/usage?words=canary-2", headers={"Authorization": f"Bearer {service.api_key}"}
        )
        assert [each["field"] for each in told.json()["errors"]] == ["words"]
        assert "canary-2" not in str(receiver.wait_for_trace(told.headers["x-trace-id"]))


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("GET", "/api/v1/limits/canary", "/api/v1/limits/{subject}"),
        ("GET", "/api/v1/limits/canary%2Fb", "/api/v1/limits/{subject}"),
        ("POST", "/api/v1/limits/canary", "/(no route)"),
        ("GET", "/nowhere/canary", "/(no route)"),
        ("GET", "/api/v1/usage", "/api/v1/usage"),
    ],
)
async def test_a_path_is_told_as_its_template(web, method, path, told):
    with traced() as kept:
        app = await web()  # the middleware asks for its tracer when it is made
        answer = await app.client.request(method, path)
    spans = [dict(each.attributes) for each in kept.get_finished_spans()]
    assert told in {spans[-1].get("http.target"), spans[-1].get("url.path")}
    assert "canary" not in str(spans)
    assert answer.status_code in {200, 403, 404, 405}
