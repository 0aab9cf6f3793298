"""A defect nobody foresaw, planted into the real process: `unknown` everywhere, and nothing leaked."""

import pytest

from tests.harness.chat import ask
from tests.harness.problems import FIELDS
from tests.harness.telling import told, total

DEFECT = """
import service.limits.memory as memory

async def decide(self, demand):
    raise KeyError("canary /etc/secret")

memory.MemoryStore.decide = decide
"""


@pytest.mark.parametrize("streamed", [False, True])
def test_an_unforeseen_defect_is_unknown_everywhere(start_service, receiver, tmp_path, streamed):
    (tmp_path / "sitecustomize.py").write_text(DEFECT)
    defective = start_service(exporting_to=receiver, PYTHONPATH=str(tmp_path))
    answer = ask(defective, "anything", stream=streamed)
    body = answer.json()
    assert (answer.status_code, body["category"], body["code"], body["fault"]) == (
        500,
        "unknown",
        "internal",
        "service",
    )
    assert set(body) == set(FIELDS)
    assert body["error"] == "An unexpected error occurred. Please try again."
    assert "canary" not in answer.text
    turn = told(defective, receiver, body["requestId"])
    assert (turn.row["category"], turn.row["code"], turn.row["outcome"]) == ("unknown", "internal", "failed")
    assert (turn.line["type"], turn.line["category"]) == ("agent_query_failed", "unknown")
    assert "KeyError" in turn.line["stack"]
    for span in (turn.server, turn.agent):
        assert (span.status, span.attributes["parley.error.category"]) == ("ERROR", "unknown")
        assert "canary" not in str(span.attributes)
    receiver.wait(lambda: total(receiver, "parley.errors", category="unknown") >= 1, 10)
