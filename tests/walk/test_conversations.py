"""Conversations over the real service: told again to the model, over restarts, and gone when hidden."""

import httpx

from tests.harness.chat import ask, stream
from tests.harness.waiting import wait

PATH = "/api/v1/conversations"


def call(service, method, path="", key=None, **params):
    with httpx.Client(trust_env=False, timeout=30) as client:
        return client.request(
            method,
            f"{service.url}{PATH}{path}",
            params=params,
            headers={"Authorization": f"Bearer {key or service.api_key}"},
        )


def key_of(service, user, role="AUDITEE"):
    done = service.cli("keys", "create", "--user", user, "--role", role, "--json")
    assert done.returncode == 0, done.stderr
    return httpx.Response(200, content=done.stdout).json()["key"]


def tokens_in(answer):
    return answer.json()["usage"]["inputTokens"]


def test_what_was_said_before_costs_tokens_again(service):
    first = ask(service, "Hello")
    second = ask(service, "Hello", conversationId=first.json()["conversationId"])
    third = ask(service, "Hello", conversationId=first.json()["conversationId"])
    assert tokens_in(first) < tokens_in(second) < tokens_in(third)


def test_the_model_takes_back_what_its_tools_gave(service):
    first = ask(service, "What is 12*7? And what time is it? [sim:tools3]").json()
    second = ask(service, "What is 12*7?", conversationId=first["conversationId"])
    with stream(service, "Hello", conversationId=first["conversationId"]) as third:
        events = third.rest()
    assert (second.status_code, second.json()["toolsCalled"], events[-1].event) == (
        200,
        ["calculate"],
        "done",
    )
    messages = call(service, "GET", f"/{first['conversationId']}").json()["messages"]
    assert [each["role"] for each in messages] == ["user", "assistant"] * 3


def test_a_turn_that_failed_leaves_nothing(service):
    first = ask(service, "Hello").json()
    for marker in ("[sim:500]", "[sim:cut]", "[sim:tool][sim:529]"):
        assert ask(service, marker, conversationId=first["conversationId"]).status_code >= 500
    messages = call(service, "GET", f"/{first['conversationId']}").json()["messages"]
    assert {each["turnId"] for each in messages} == {first["id"]}


def test_every_refusal_of_a_conversation_is_a_turn(service):
    first = ask(service, "Hello").json()
    assert call(service, "DELETE", f"/{first['conversationId']}").status_code == 204
    refused = ask(service, "Hello", conversationId=first["conversationId"])
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    (row,) = service.wait_for_rows(entityId=refused.json()["requestId"])
    assert (row["outcome"], row["code"], row["cost"]) == ("refused", "not_found", 0)
    assert service.wait_for_line(type="agent_query_refused", requestId=refused.json()["requestId"])


def test_two_turns_at_once_are_one_and_a_conflict(service):
    conversation = ask(service, "Hello").json()["conversationId"]
    with stream(service, "one [sim:slow:200]", conversationId=conversation) as first:
        first.until("turn")
        second = ask(service, "two", conversationId=conversation)
        assert (second.status_code, second.json()["code"]) == (409, "conflict")
        assert int(second.headers["retry-after"]) >= 1
        first.rest()
    assert ask(service, "two", conversationId=conversation).status_code == 200


def test_what_is_hidden_while_a_turn_runs_stays_hidden(service):
    with stream(service, "one [sim:slow:50]") as first:
        conversation = first.until("turn").data["conversationId"]
        assert call(service, "DELETE", f"/{conversation}").status_code == 204
        assert first.rest()[-1].event == "done"
    assert call(service, "GET", f"/{conversation}").status_code == 404
    assert service.sql("SELECT * FROM conversation_turn WHERE conversation_id = ?", [conversation]) == []
    assert service.wait_for_rows(entityId=first.events[0].data["id"])[0]["outcome"] == "answered"


def test_a_restart_forgets_nothing_and_another_user_sees_nothing(start_service):
    service = start_service()
    first = ask(service, "Hello").json()
    other = key_of(service, "bob", "AUDIT_HEAD")
    assert service.stop() == 0
    service.start()
    one = f"/{first['conversationId']}"
    assert call(service, "GET", one).json()["messages"][1]["text"] == first["response"]
    assert ask(service, "Hello", conversationId=first["conversationId"]).status_code == 200
    assert [call(service, method, one, key=other).status_code for method in ("GET", "DELETE")] == [404, 404]
    assert ask(service, "Hello", key=other, conversationId=first["conversationId"]).status_code == 404
    assert call(service, "GET", key=other).json() == {"conversations": [], "nextCursor": None}


def test_a_kill_leaves_whole_turns_only(start_service):
    service = start_service()
    first = ask(service, "Hello").json()
    with stream(service, "one [sim:slow:500]", conversationId=first["conversationId"]) as second:
        second.until("text")
        service.kill()
    service.start()
    messages = call(service, "GET", f"/{first['conversationId']}").json()["messages"]
    assert [each["turnId"] for each in messages] == [first["id"]] * 2
    # the dead one's lease lasts for some seconds
    wait(lambda: ask(service, "again", conversationId=first["conversationId"]).status_code == 200)


def test_two_services_over_one_database_share_them(start_service, database_url):
    shared = {"DATABASE_URL": database_url, "AGENT_SECRET_KEY": "r" * 43}
    one, two = start_service(**shared), start_service(**shared)
    first = ask(one, "Hello").json()
    second = ask(two, "Hello", key=one.api_key, conversationId=first["conversationId"])
    assert second.status_code == 200
    (listed,) = call(one, "GET").json()["conversations"]
    messages = call(one, "GET", f"/{listed['id']}").json()["messages"]
    assert [each["turnId"] for each in messages] == [first["id"]] * 2 + [second.json()["id"]] * 2
    assert call(two, "DELETE", f"/{listed['id']}", key=one.api_key).status_code == 204
    assert ask(one, "Hello", conversationId=first["conversationId"]).status_code == 404
