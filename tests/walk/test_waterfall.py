"""parley trace over a real service, without any Jaeger: the record's steps, and where people see more."""

import json

from tests.harness.chat import ask

NOBODY = "http://127.0.0.1:1"


def test_the_life_of_a_query_is_drawn_from_its_record(service):
    answer = ask(service, "What is 12*7? [sim:tool]").json()
    service.wait_for_rows(entityId=answer["id"])
    told = json.loads(service.cli("trace", answer["traceId"], "--json").stdout)
    (turn,) = told["steps"]
    assert (told["source"], told["link"], turn["name"]) == ("record", None, "invoke_agent parley")
    chat = f"chat {answer['model']}"
    assert [step["name"] for step in turn["steps"]] == [chat, "execute_tool calculate", chat]
    for one, following in zip(turn["steps"], turn["steps"][1:], strict=False):
        assert one["startedAfterMs"] + one["milliseconds"] <= following["startedAfterMs"] + 1
    last = turn["steps"][-1]
    assert last["startedAfterMs"] + last["milliseconds"] <= turn["milliseconds"] + 1
    words = service.cli("trace", answer["id"]).stdout
    assert "Steps, from the record:\n  invoke_agent parley " in words
    assert words.count(f"\n    {chat} ") == 2


def test_a_jaeger_that_does_not_answer_is_said_and_the_record_serves(service):
    answer = ask(service, "Hello").json()
    service.wait_for_rows(entityId=answer["id"])
    done = service.cli("trace", answer["id"], "--jaeger", f"{NOBODY}/below")
    assert done.returncode == 0
    assert "parley: Jaeger does not answer: " in done.stderr
    assert f"\n{NOBODY}/below/trace/{answer['traceId']}\n" in done.stdout
    assert "Steps, from the record:" in done.stdout


def test_links_lead_where_the_settings_say(start_service):
    service = start_service(
        AGENT_JAEGER_URL=NOBODY, AGENT_TRACE_URL="https://grafana.example/explore?id={traceId}&x"
    )
    answer = ask(service, "Hello").json()
    service.wait_for_rows(entityId=answer["id"])
    told = json.loads(service.cli("trace", answer["id"], "--json").stdout)
    assert told["link"] == f"https://grafana.example/explore?id={answer['traceId']}&x"


def test_what_nobody_knows_is_the_answer_no(service):
    done = service.cli("trace", "ab" * 16, "--jaeger", NOBODY)
    assert (done.returncode, done.stdout) == (1, "")
    assert "parley: there is no turn or trace of that id\n" in done.stderr
