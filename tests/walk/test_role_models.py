"""Roles that may ask some models only: what is refused, what stands in, and how a change takes hold."""

import os
import signal

import pytest

from tests.harness.chat import ask
from tests.harness.service import Service
from tests.harness.telling import ending
from tests.harness.waiting import wait

HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"


@pytest.fixture
def service(tmp_path):
    """A service whose settings are in `.env`."""
    (tmp_path / ".env").write_text(f"AGENT_ROLE_MODELS=AUDITEE={HAIKU}|{OPUS},GUEST={SONNET}\n")
    with Service(tmp_path) as service:
        yield service


def test_another_model_is_forbidden_by_its_field_and_recorded(service):
    response = ask(service, "Hello", model=SONNET)
    body = response.json()
    assert (response.status_code, body["category"], body["code"]) == (403, "authorization", "forbidden")
    assert [error["field"] for error in body["errors"]] == ["model"]
    assert HAIKU in body["errors"][0]["message"]
    (row,) = service.wait_for_rows(entityId=body["requestId"])
    assert (row["action"], row["outcome"], row["code"], row["model"]) == (
        "REFUSED",
        "refused",
        "forbidden",
        SONNET,
    )
    assert ending(service, body["requestId"])["type"] == "access_denied"


def test_without_a_word_the_first_of_the_role_is_asked_and_any_of_them_may_be(service):
    assert ask(service, "Hello").json()["model"] == HAIKU
    assert ask(service, "Hello", model=OPUS).json()["model"] == OPUS


def test_a_change_holds_from_the_next_request_on(service):
    assert ask(service, "Hello", model=SONNET).status_code == 403
    (service.cwd / ".env").write_text(f"AGENT_ROLE_MODELS=AUDITEE={SONNET}\n")
    os.kill(service.pid, signal.SIGHUP)
    wait(lambda: service.lines(type="settings_changed"), seen=service.said)
    (line,) = service.lines(type="settings_changed")
    assert (line["changed"], line["needRestart"]) == (["AGENT_ROLE_MODELS"], [])
    assert ask(service, "Hello").json()["model"] == SONNET
    assert ask(service, "Hello", model=HAIKU).status_code == 403
