"""The OpenAPI document: valid, complete, of this service and of nothing else; and its page."""

import base64
import hashlib
import inspect
import re

import pytest
from litestar import Litestar
from msgspec import structs
from openapi_spec_validator import validate

from service import errors
from service.auth.permissions import Action, may
from service.web.problems import STATUS
from service.web.schema.document import document
from service.web.schema.operations import OPERATIONS
from telemetry.failure import Code
from telemetry.record import Caller

TOLD = document()
FOR_PEOPLE = ("/console", "/schema")
ENDS = {"/schema/openapi.json"}
NOT_A_ROUTES = {Code.METHOD_NOT_ALLOWED}
"""A path refuses a method, no operation does."""
OPERATION = {each.id: TOLD["paths"][each.path][each.method] for each in OPERATIONS}


def test_it_is_valid_openapi_3_1():
    validate(TOLD)
    assert TOLD["openapi"].startswith("3.1.")


async def test_it_has_every_route_for_programs_and_no_other(web, monkeypatch):
    made = []
    monkeypatch.setattr(
        "service.app.face.Litestar", lambda **named: made.append(Litestar(**named)) or made[0]
    )
    await web()
    routed = {
        (method.lower(), re.sub(r"\{[^}]*\}", "{}", route.path))
        for route in made[0].routes
        for method in route.methods
        if not (route.path == "/" or route.path.startswith(FOR_PEOPLE)) or route.path in ENDS
    }
    described = {
        (method, re.sub(r"\{[^}]*\}", "{}", path))
        for path, methods in TOLD["paths"].items()
        for method in methods
    }
    assert {each for each in routed if each[0] != "options"} == described


def test_every_link_leads_to_a_parameter_of_another_operation_and_a_request_takes_no_other_field():
    links = [
        link
        for each in OPERATION.values()
        for answer in each["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert len(links) > 10
    for link in links:
        there = {parameter["name"] for parameter in OPERATION[link["operationId"]]["parameters"]}
        assert set(link["parameters"]) <= there
    for each in OPERATIONS:
        if each.body:
            content = OPERATION[each.id]["requestBody"]["content"]["application/json"]
            name = content["schema"]["$ref"].rpartition("/")[2]
            assert TOLD["components"]["schemas"][name]["additionalProperties"] is False


async def test_it_is_served_as_it_is_to_anybody(web):
    app = await web()
    response = await app.client.get("/schema/openapi.json", headers={"authorization": ""})
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.json() == TOLD


def test_every_pattern_is_one_of_ecmascript():
    patterns = re.findall(r"'pattern': ['\"](.+?)['\"][,}]", repr(TOLD))
    assert len(patterns) > 8
    assert [each for each in patterns if re.search(r"\\Z|\\A|\\u[dD][89a-fA-F]|\(\?P", each)] == []


def test_nothing_in_it_is_elsewhere():
    assert TOLD["servers"] == [{"url": "/"}]
    assert not re.search(r"https?://", repr(TOLD))


def test_every_schema_is_used_and_every_reference_leads_somewhere():
    used = set(re.findall(r"#/components/schemas/([A-Za-z]+)", repr(TOLD)))
    assert used == set(TOLD["components"]["schemas"])


def test_every_operation_has_its_own_id_words_and_examples():
    assert len(OPERATION) == len(OPERATIONS)
    for each in OPERATION.values():
        assert each["summary"]
        for parameter in each["parameters"]:
            assert parameter["description"]
            assert "null" not in repr(parameter["schema"])
        for response in each["responses"].values():
            for content in response.get("content", {}).values():
                assert content["schema"]


def test_the_chat_refuses_by_every_code_that_is_ever_raised():
    kinds = (each for _, each in inspect.getmembers(errors, inspect.isclass))
    raised = {each.code for each in kinds if issubclass(each, errors.ServiceError)} - NOT_A_ROUTES
    told = {code for each in OPERATIONS for code in each.refuses}
    assert told == raised


@pytest.mark.parametrize("each", OPERATIONS, ids=lambda each: each.id)
def test_each_status_of_an_operation_has_an_example_for_each_code(each):
    responses = OPERATION[each.id]["responses"]
    problems = {
        code
        for response in responses.values()
        for code in response.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    assert problems == {code.value for code in each.refuses}
    for code in each.refuses:
        told = responses[str(STATUS[code])]["content"]["application/problem+json"]["examples"][code.value]
        assert (told["value"]["status"], told["value"]["code"]) == (STATUS[code], code.value)


@pytest.mark.parametrize("each", OPERATIONS, ids=lambda each: each.id)
def test_who_must_say_who_they_are(each):
    told = OPERATION[each.id]
    assert told["security"] == ([] if each.open else [{"bearer": []}, {"session": []}])
    assert ("401" in told["responses"]) is not each.open
    assert set(TOLD["components"]["securitySchemes"]) == {"bearer", "session"}


async def test_what_is_open_answers_nobody_and_what_is_not_does_not(web):
    app = await web()
    for each in OPERATIONS:
        path = re.sub(r"\{[^}]*\}", "x", each.path)
        response = await app.client.request(each.method.upper(), path, headers={"authorization": ""})
        assert (response.status_code == 401) is not each.open, each.id


OTHERWISE = {"chat", "decideApproval", "countFeedback", "listSessions", "endSessions", "getOperations"}
"""What is forbidden by what is asked for, or not to a CFO."""


async def test_an_operation_that_may_be_forbidden_is_so_to_somebody(web):
    app = await web()  # its caller is a CFO, who may see no audit
    for each in OPERATIONS:
        path = re.sub(r"\{[^}]*\}", "x", each.path)
        response = await app.client.request(each.method.upper(), path)
        if each.id not in OTHERWISE:
            assert (response.status_code == 403) is (Code.FORBIDDEN in each.refuses), each.id
    assert not may(Caller(user_id="a", role="CFO", method="", credential_id="", pseudonym=""), Action.AUDIT)


async def test_every_parameter_is_taken_and_no_other(web):
    app = await web()
    for each in OPERATIONS:
        told = {one["name"] for one in OPERATION[each.id]["parameters"] if one["in"] == "query"}
        assert told == {field.encode_name for field in structs.fields(each.query)}
    response = await app.client.get("/api/v1/usage", params={"groupBy": "day", "size": "1"})
    assert [each["field"] for each in response.json()["errors"]] == ["size"]


def test_a_stream_is_told_with_the_data_of_its_events():
    content = OPERATION["chat"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/event-stream"}
    events = content["text/event-stream"]["x-events"]
    assert set(events) == {"turn", "text", "thinking", "tool", "approval", "done", "error"}
    assert content["text/event-stream"]["example"].startswith("id: 1\nevent: turn\n")


def test_the_headers_of_answers():
    responses = OPERATION["chat"]["responses"]
    assert set(responses["200"]["headers"]) >= {"X-Request-Id", "X-Trace-Id", "RateLimit", "RateLimit-Policy"}
    assert "WWW-Authenticate" in responses["401"]["headers"]
    assert all("Retry-After" in responses[status]["headers"] for status in ("409", "429", "503"))


async def test_the_page_shows_every_operation_and_needs_nothing_else(web):
    app = await web()
    response = await app.client.get("/schema", headers={"authorization": ""})
    page = response.text
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for each in OPERATIONS:
        assert f"{each.method.upper()} {each.path}</code>" in page
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|https?:|//|\son[a-z]+=|style=", page)
    assert page.count("<style>") == 1


async def test_the_pages_policy_allows_its_own_style_and_nothing_else(web):
    app = await web()
    response = await app.client.get("/schema")
    style = response.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = response.headers["content-security-policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
