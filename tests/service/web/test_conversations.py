"""A caller's own conversations over HTTP: listed, shown, continued, hidden; nobody else's, ever."""

import pytest

from config import Secret
from service.agent.model import ToolUse
from service.agent.upstream.scripted import ScriptedModel, say, use
from service.auth.derive import Derived
from service.auth.keys import make_key
from service.store.keys import StoredKey
from service.web import conversations
from tests.harness.agent import FakeTools
from tests.harness.problems import problem

LIST = "/api/v1/conversations"
UNKNOWN = "0190163d-8694-739b-b3c1-cf0a1b2c3d4e"
ROUTES = [("GET", LIST), *((method, f"{LIST}/x") for method in ("GET", "DELETE", "PATCH"))]
SUMMARY = ["id", "title", "createdAt", "updatedAt", "turns"]


async def bob(app):
    """Bob's Authorization header: the role of most rights, which is none over what is another's."""
    made = make_key(Derived(Secret("r" * 32)).pepper)  # the application's own
    await app.database.keys.add(
        StoredKey(id=made.id, user_id="bob", role="AUDIT_HEAD", scopes=(), digest=made.digest, created_at=1)
    )
    return {"authorization": f"Bearer {made.key}"}


@pytest.fixture
async def app(web):
    return await web(ScriptedModel(*(say(f"answer {number}") for number in range(12))))


async def begin(app, message="hello", **more):
    response = await app.ask(message, **more)
    assert response.status_code == 200
    return response.json()


async def ids(app, **params):
    body = (await app.client.get(LIST, params=params)).json()
    return [each["id"] for each in body["conversations"]], body["nextCursor"]


async def test_there_is_none_at_first(app):
    response = await app.client.get(LIST)
    assert (response.status_code, response.json()) == (200, {"conversations": [], "nextCursor": None})


async def test_a_conversation_is_listed_with_its_title(app):
    told = await begin(app, "How much did we spend? " + "x" * 100)
    (found,) = (await app.client.get(LIST)).json()["conversations"]
    assert list(found) == SUMMARY
    assert (found["id"], found["title"]) == (
        told["conversationId"],
        ("How much did we spend? " + "x" * 100)[:80],
    )
    assert found["createdAt"] <= found["updatedAt"]
    assert found["createdAt"].endswith("Z")
    assert len(found["createdAt"]) == len("2025-01-31T12:00:00.000Z")


async def test_the_latest_used_is_first(app):
    made = [(await begin(app))["conversationId"] for _ in range(3)]
    assert (await ids(app))[0] == made[::-1]
    await begin(app, conversationId=made[0])
    assert (await ids(app))[0] == [made[0], made[2], made[1]]


async def test_pages_hold_all_of_them_once(app):
    made = [(await begin(app))["conversationId"] for _ in range(5)]
    first, cursor = await ids(app, limit=2)
    second, cursor = await ids(app, limit=2, cursor=cursor)
    third, end = await ids(app, limit=2, cursor=cursor)
    assert (first + second + third, end) == (made[::-1], None)
    assert await ids(app, limit=5) == (made[::-1], None)


async def test_one_is_shown_with_its_messages(app):
    first = await begin(app, "one")
    second = await begin(app, "two", conversationId=first["conversationId"])
    body = (await app.client.get(f"{LIST}/{first['conversationId']}")).json()
    assert list(body) == [*SUMMARY, "messages"]
    assert [list(each) for each in body["messages"]] == [["role", "text", "createdAt", "turnId", "tools"]] * 4
    assert [(each["role"], each["text"], each["turnId"]) for each in body["messages"]] == [
        ("user", "one", first["id"]),
        ("assistant", first["response"], first["id"]),
        ("user", "two", second["id"]),
        ("assistant", second["response"], second["id"]),
    ]
    times = [each["createdAt"] for each in body["messages"]]
    assert times == sorted(times)
    assert (body["createdAt"], body["updatedAt"], body["turns"]) == (times[0], times[-1], 2)


async def test_tools_are_named_and_what_they_said_is_not_shown(web):
    async def echo(_):
        return "the tool's result"

    uses = [ToolUse(f"u{number}", "echo", {"a": "the tool's input"}) for number in range(2)]
    model = ScriptedModel(use(*uses), say("done"))
    app = await web(model, tools=FakeTools(echo=echo))
    told = await begin(app)
    response = await app.client.get(f"{LIST}/{told['conversationId']}")
    shown = [(each["text"], each["tools"]) for each in response.json()["messages"]]
    assert shown == [("hello", []), ("done", ["echo"])]
    assert "the tool's" not in response.text


async def test_only_the_latest_turns_are_shown(app, monkeypatch):
    monkeypatch.setattr(conversations, "SHOWN_TURNS", 1)
    first = await begin(app, "one")
    await begin(app, "two", conversationId=first["conversationId"])
    body = (await app.client.get(f"{LIST}/{first['conversationId']}")).json()
    assert [each["text"] for each in body["messages"] if each["role"] == "user"] == ["two"]


async def rename(app, conversation_id, headers=None, **body):
    return await app.client.patch(f"{LIST}/{conversation_id}", json=body, headers=headers)


async def test_it_is_given_another_title_which_turns_leave_alone(app):
    told = await begin(app, "one")
    place = told["conversationId"]
    (before,) = (await app.client.get(LIST)).json()["conversations"]
    response = await rename(app, place.upper(), title="Ours: \u00fc")
    assert (response.status_code, response.json()) == (200, before | {"title": "Ours: \u00fc"})
    await begin(app, "two", conversationId=place)
    (after,) = (await app.client.get(LIST)).json()["conversations"]
    assert (after["title"], after["turns"]) == ("Ours: \u00fc", 2)
    assert len(app.records) == 2


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"title"}),
        ({"title": ""}, {"title"}),
        ({"title": " "}, {"title"}),
        ({"title": None}, {"title"}),
        ({"title": 7}, {"title"}),
        ({"title": "x" * 201}, {"title"}),
        ({"title": "x", "name": "y", "id": "z"}, {"name", "id"}),
    ],
)
async def test_every_wrong_field_of_a_change_is_named(app, body, wrong):
    told = await begin(app)
    refused = problem(await rename(app, told["conversationId"], **body), 400, "invalid_request")
    assert {each["field"] for each in refused["errors"]} == wrong
    (found,) = (await app.client.get(LIST)).json()["conversations"]
    assert found["title"] == "hello"


async def test_a_change_is_json_of_a_sensible_size(app):
    one = f"{LIST}/{(await begin(app))['conversationId']}"
    problem(await app.client.patch(one, content="title=x"), 415, "unsupported_media_type")
    problem(await rename(app, UNKNOWN, title="x" * (1 << 15)), 413, "too_large")
    assert (await rename(app, one.removeprefix(LIST), title="x" * 200)).status_code == 200


async def test_only_ones_own_is_given_a_title(app):
    told = await begin(app)
    place = told["conversationId"]
    problem(await rename(app, place, await bob(app), title="mine"), 404, "not_found")
    problem(await rename(app, UNKNOWN, title="mine"), 404, "not_found")
    await app.client.delete(f"{LIST}/{place}")
    problem(await rename(app, place, title="mine"), 404, "not_found")


async def test_its_id_may_be_written_in_capitals(app):
    told = await begin(app)
    capitals = told["conversationId"].upper()
    assert (await app.client.get(f"{LIST}/{capitals}")).json()["id"] == told["conversationId"]
    assert (await begin(app, conversationId=capitals))["conversationId"] == told["conversationId"]
    assert (await app.client.delete(f"{LIST}/{capitals}")).status_code == 204


async def test_a_hidden_one_is_gone_and_its_id_stays_so(app):
    told = await begin(app)
    one = f"{LIST}/{told['conversationId']}"
    response = await app.client.delete(one)
    assert (response.status_code, response.content) == (204, b"")
    problem(await app.client.get(one), 404, "not_found")
    problem(await app.client.delete(one), 404, "not_found")
    problem(await app.ask("again", conversationId=told["conversationId"]), 404, "not_found")
    assert await ids(app) == ([], None)
    refused = app.records[-1]
    assert (refused.outcome, refused.cost_micros, refused.model_calls) == ("refused", 0, ())


async def test_nobody_sees_anothers(app):
    told, his = await begin(app), await bob(app)
    one = f"{LIST}/{told['conversationId']}"
    problem(await app.client.get(one, headers=his), 404, "not_found")
    problem(await app.client.delete(one, headers=his), 404, "not_found")
    problem(await app.ask("mine?", headers=his, conversationId=told["conversationId"]), 404, "not_found")
    assert (await app.client.get(LIST, headers=his)).json()["conversations"] == []
    assert (await app.client.get(one)).status_code == 200


async def test_a_cursor_is_its_users_own(app):
    for _ in range(2):
        await begin(app)
    _, cursor = await ids(app, limit=1)
    response = await app.client.get(LIST, params={"cursor": cursor}, headers=await bob(app))
    assert [each["field"] for each in problem(response, 400, "invalid_request")["errors"]] == ["cursor"]


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH"])
@pytest.mark.parametrize("name", [UNKNOWN, "x", "..", "%00", "%ff", "' OR 1=1", "x" * 256, "é"])
async def test_what_is_not_there_is_not_found(app, method, name):
    body = {"title": "x"} if method == "PATCH" else None
    problem(await app.client.request(method, f"{LIST}/{name}", json=body), 404, "not_found")


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("limit=0", {"limit"}),
        ("limit=201", {"limit"}),
        ("limit=x&cursor=y&user=bob", {"limit", "user"}),
        ("limit=1&limit=2", {"limit"}),
        ("cursor=", {"cursor"}),
        ("cursor=AAAA", {"cursor"}),
        ("Limit=1", {"Limit"}),
        ("q=%ff", {"query"}),
    ],
)
async def test_every_wrong_parameter_is_named(app, query, wrong):
    body = problem(await app.client.get(f"{LIST}?{query}"), 400, "invalid_request")
    assert {each["field"] for each in body["errors"]} == wrong


@pytest.mark.parametrize(
    ("method", "path"), [("GET", LIST), ("GET", f"{LIST}/x"), ("DELETE", f"{LIST}/x"), ("PATCH", f"{LIST}/x")]
)
async def test_nobody_is_let_in_without_a_credential(app, method, path):
    response = await app.client.request(method, path, headers={"authorization": "Bearer nobody"})
    problem(response, 401, "unauthenticated")


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH"])
async def test_one_takes_no_parameters(app, method):
    body = problem(await app.client.request(method, f"{LIST}/{UNKNOWN}?x=1"), 400, "invalid_request")
    assert [each["field"] for each in body["errors"]] == ["x"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", LIST), ("GET", f"{LIST}/x"), ("DELETE", f"{LIST}/x"), ("PATCH", f"{LIST}/x")]
)
async def test_a_database_that_is_away_is_a_problem(app, method, path):
    await app.database.close()
    body = {"title": "x"} if method == "PATCH" else None
    problem(await app.client.request(method, path, json=body), 500, "database_error")
