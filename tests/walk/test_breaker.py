"""A model that keeps failing: left alone and said to be, tried again, and stood in for by another."""

import httpx
import pytest

from tests.faults.upstream import END, Upstream, chunk, head
from tests.faults.upstream_table import ANSWER, SAID
from tests.harness.chat import ask, stream
from tests.harness.messages_api import frame
from tests.harness.waiting import wait

ASKED, OTHER = "claude-sonnet-5-5", "claude-haiku-5-5"
BUSY = (head("529 X", retry_after="0", content_length="0"),)
LATER = (head("529 X", retry_after="999", content_length="0"),)
FINE = (head(), *(chunk(frame(each)) for each in ANSWER), END)
SCRIPTS = {"down": [BUSY], "fine": [FINE], "later": [LATER, FINE]}


@pytest.fixture
def upstream():
    with Upstream(SCRIPTS) as upstream:
        yield upstream


def ready(service):
    return httpx.get(f"{service.url}/health/ready", trust_env=False).json()


def test_it_is_left_alone_tried_again_and_asked_as_before(start_service, upstream):
    service = start_service(AGENT_RATE_LIMIT_ROLES="AUDITEE=1000", **upstream.settings)
    assert [ask(service, "fault:down#first").status_code for _ in range(2)] == [500, 500]
    assert len(upstream.asked["first"]) == 5
    refused = ask(service, "fault:down#second")
    told = refused.json()
    assert (refused.status_code, told["category"], told["code"]) == (
        500,
        "agent_service",
        "upstream_overloaded",
    )
    assert told["retryable"] is True
    assert 1 <= int(refused.headers["retry-after"]) <= 5
    assert upstream.asked["second"] == []
    (row,) = service.wait_for_rows(entityId=refused.headers["x-request-id"])
    assert (row["outcome"], row["metadata"]["modelCalls"][0]["requests"]) == ("failed", [])
    state = ready(service)
    assert (state["status"], state["dependencies"]["model"]["status"]) == ("degraded", "degraded")
    assert state["dependencies"]["model"]["detail"].endswith(f"left alone: {ASKED}")
    opened = service.wait_for_line(type="model_breaker_opened")
    assert (opened["model"], opened["code"], opened["status"]) == (ASKED, "upstream_overloaded", 529)
    assert ask(service, "fault:fine#other", model=OTHER).status_code == 200
    wait(lambda: ask(service, "fault:fine#back").status_code == 200)
    service.wait_for_line(type="model_breaker_closed")
    assert ready(service)["status"] == "ready"


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
def test_another_model_stands_in_and_is_named(start_service, upstream, streamed):
    service = start_service(AGENT_MODEL_FALLBACKS=OTHER, **upstream.settings)
    if streamed:
        with stream(service, "fault:later#asked") as answer:
            first, *_, last = answer.rest()
        assert (first.data["model"], last.event) == (OTHER, "done")
        told = last.data
    else:
        told = ask(service, "fault:later#asked").json()
        assert told["response"] == SAID
    assert told["model"] == OTHER
    (row,) = service.wait_for_rows(entityId=told["id"])
    known = row["metadata"]
    assert (row["model"], known["model"], known["askedModel"], known["pricedAs"]) == (
        OTHER,
        OTHER,
        ASKED,
        [OTHER],
    )
    assert [call["model"] for call in known["modelCalls"]] == [ASKED, OTHER]
    assert [each["status"] for call in known["modelCalls"] for each in call["requests"]] == [529, 200]
    line = service.wait_for_line(type="agent_query_completed", requestId=told["id"])
    assert (line["model"], line["askedModel"], line["usageSource"]) == (OTHER, ASKED, "reported")
    assert [each["code"] for each in line["attempts"]] == ["upstream_overloaded", None]


def test_a_fallback_is_one_of_the_models(start_service):
    with pytest.raises(AssertionError, match="AGENT_MODEL_FALLBACKS: made-up is none of AGENT_MODELS"):
        start_service(AGENT_MODEL_FALLBACKS="made-up")
