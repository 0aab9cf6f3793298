"""A typed client that a third party's generator makes of the document, calling every route of a service."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import MANY
from tests.harness.service import Service

BIN = Path(sys.executable).parent
NAME = "generated_parley_client"


class Typed:
    """The generated package over a running service: `call` runs an operation, `parsed` wants its answer."""

    def __init__(self, folder, service):
        self.service = service
        self.module = importlib.import_module(NAME)
        self.models = importlib.import_module(f"{NAME}.models")
        self.types = importlib.import_module(f"{NAME}.types")
        self.operations = {
            path.stem: f"{NAME}.api.{path.parent.name}.{path.stem}"
            for path in folder.glob(f"{NAME}/api/*/*.py")
        }
        del self.operations["__init__"]

    def call(self, name, *arguments, key=None, **named):
        """Run an operation; a status that the document does not have raises."""
        client = self.module.AuthenticatedClient(
            base_url=self.service.url,
            token=self.service.api_key if key is None else key,
            raise_on_unexpected_status=True,
            httpx_args={"trust_env": False},
            timeout=httpx.Timeout(30),
        )
        with client:
            operation = importlib.import_module(self.operations[name])
            return operation.sync_detailed(*arguments, client=client, **named)

    def parsed(self, name, *arguments, status=200, **named):
        response = self.call(name, *arguments, **named)
        assert response.status_code == status, response.content
        return response.parsed


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """A client generated from what the service serves, beside that service."""
    folder = tmp_path_factory.mktemp("client")
    with Service(tmp_path_factory.mktemp("service"), MANY) as service:
        document = httpx.get(f"{service.url}/schema/openapi.json", trust_env=False)
        (folder / "openapi.json").write_bytes(document.content)
        (folder / "config.yaml").write_text("post_hooks: []\n")
        where = ["--path", "openapi.json", "--config", "config.yaml", "--output-path", NAME]
        generated = subprocess.run(
            [str(BIN / "openapi-python-client"), "generate", *where, "--meta", "none", "--fail-on-warning"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert generated.returncode == 0, generated.stdout + generated.stderr
        sys.path.insert(0, str(folder))
        try:
            yield Typed(folder, service)
        finally:
            sys.path.remove(str(folder))
            for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
                del sys.modules[name]


@pytest.fixture(scope="module")
def head(typed):
    """The key of somebody who may see everything."""
    arguments = ("keys", "create", "--user", "head", "--role", "AUDIT_HEAD", "--json")
    return json.loads(typed.service.cli(*arguments).stdout)["key"]


@pytest.fixture(scope="module")
def answer(typed):
    return typed.parsed("chat", body=typed.models.Question(message="What is 12*7?"))


def test_a_question_is_answered(typed, answer):
    assert isinstance(answer, typed.models.Answer)
    assert answer.tools_called == ["calculate"]
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0
    assert 0 < answer.cost < 1


def test_a_stream_of_nobody_is_not_taken_up(typed, answer):
    gone = typed.parsed("resume_chat", answer.id, last_event_id="1", status=404)
    assert gone.code is typed.models.Code.NOT_FOUND


def test_what_waits_for_a_yes_is_listed_and_what_does_not_is_not_decided(typed, answer):
    assert typed.parsed("list_approvals").approvals == []
    verdict = typed.models.ApprovalBody(decision=typed.models.ApprovalBodyDecision.DENY)
    gone = typed.parsed("decide_approval", answer.id, "toolu_1", body=verdict, status=404)
    assert gone.code is typed.models.Code.NOT_FOUND


def test_a_turn_is_rated_and_counted(typed, head, answer):
    said = typed.models.FeedbackBody(rating=typed.models.FeedbackBodyRating.UP, comment="Right.")
    given = typed.parsed("give_feedback", answer.id, body=said)
    assert (given.rating, given.comment, given.trace_id) == ("up", "Right.", answer.trace_id)
    assert typed.parsed("get_feedback", answer.id) == given
    event = typed.parsed("get_audit_event", answer.id, key=head)
    assert event.metadata.feedback.comment == "Right."
    counted = typed.parsed("count_feedback", key=head, from_="2020-01-01")
    assert (counted.total.up, [each.model for each in counted.rows]) == (1, [answer.model])
    assert typed.parsed("withdraw_feedback", answer.id, status=204) is None


def test_a_conversation_is_found_read_and_hidden(typed, answer):
    page = typed.parsed("list_conversations", limit=200)
    assert answer.conversation_id in [each.id for each in page.conversations]
    whole = typed.parsed("get_conversation", answer.conversation_id)
    assert [(each.role, each.turn_id) for each in whole.messages] == [
        ("user", answer.id),
        ("assistant", answer.id),
    ]
    assert whole.messages[1].text == answer.response
    assert (whole.turns, whole.messages[1].tools) == (1, ["calculate"])
    change = typed.models.Change(title="Sums")
    named = typed.parsed("rename_conversation", answer.conversation_id, body=change)
    assert (named.title, named.turns) == ("Sums", 1)
    other = typed.parsed("chat", body=typed.models.Question(message="Hello"))
    assert typed.parsed("delete_conversation", other.conversation_id, status=204) is None
    gone = typed.parsed("get_conversation", other.conversation_id, status=404)
    assert (gone.code, gone.category) == (typed.models.Code.NOT_FOUND, typed.models.Category.VALIDATION)


def test_the_audit_is_listed_read_and_exported(typed, head, answer):
    typed.service.wait_for_rows(entityId=answer.id)
    (event,) = typed.parsed("list_audit_events", key=head, trace_id=answer.trace_id).events
    assert (event.entity_id, event.actor_id, event.cost) == (answer.id, "dev", answer.cost)
    assert event.metadata.query == "What is 12*7?"
    assert event.metadata.outcome is typed.models.Outcome.ANSWERED
    one = typed.parsed("get_audit_event", event.id, key=head)
    assert {**one.to_dict(), "metadata": None} == {**event.to_dict(), "metadata": None}
    assert one.metadata.query == event.metadata.query
    exported = typed.call("export_audit_events", key=head, trace_id=answer.trace_id)
    sealed = typed.models.SealedEvent.from_dict(json.loads(exported.content))
    assert {**sealed.to_dict(), "seal": None} == {**event.to_dict(), "seal": None}
    assert (sealed.seal.complete, sealed.seal.log_index) == (False, event.log_index)


def test_the_audit_is_proved(typed, head, answer):
    typed.service.wait_for_rows(entityId=answer.id)
    key = typed.parsed("get_audit_key", key=head)
    assert key.vkey.startswith(f"{key.origin}+")
    report = typed.parsed("verify_audit", key=head)
    assert (report.valid, report.findings, report.freshness) == (True, [], "unproven")
    proof = typed.parsed("prove_audit_event", answer.id, key=head)
    assert (proof.id, proof.metadata.query) == (answer.id, "What is 12*7?")
    assert proof.seal.checkpoint.startswith(f"{key.origin}\n")


def test_a_person_is_forgotten(typed, head):
    erasure = typed.models.Erasure(subject="dev", confirm="nobody")
    assert (
        typed.parsed("erase_subject", key=head, body=erasure, status=400).fault is typed.models.Fault.CALLER
    )


def test_pages_go_on_by_their_cursor(typed, head):
    for number in range(2):
        typed.parsed("chat", body=typed.models.Question(message=f"Hello {number}"))
    typed.service.wait_for_rows(3)
    first = typed.parsed("list_audit_events", key=head, limit=1)
    second = typed.parsed("list_audit_events", key=head, limit=1, cursor=first.next_cursor)
    assert first.events[0].created_at >= second.events[0].created_at
    assert first.events[0].id != second.events[0].id


def test_keys_are_made_used_and_revoked(typed, head):
    content = typed.models.KeyBodyScopesItem("audit:content")
    body = typed.models.KeyBody(user="kim", role="AUDITOR", scopes=[content], expires="90d")
    made = typed.parsed("make_key", key=head, body=body, status=201)
    assert (made.user, made.role, made.scopes) == ("kim", "AUDITOR", ["audit:content"])
    assert typed.parsed("get_limits", key=made.key).policies
    (listed,) = [each for each in typed.parsed("list_keys", key=head).keys if each.id == made.id]
    assert (listed.status, listed.expires_at) == ("active", made.expires_at)
    assert typed.parsed("revoke_key", made.id, key=head, status=204) is None
    assert typed.parsed("get_limits", key=made.key, status=401).status == 401
    assert typed.parsed("revoke_key", made.id, key=head, status=404).code is typed.models.Code.NOT_FOUND


def test_a_key_is_rotated_and_both_hold(typed, head):
    made = typed.parsed("make_key", key=head, body=typed.models.KeyBody(user="kim", role="CFO"), status=201)
    body = typed.models.RotationBody(overlap="1h", expires="90d")
    new = typed.parsed("rotate_key", made.id, key=head, body=body, status=201)
    assert (new.user, new.role, new.replaces) == ("kim", "CFO", made.id)
    for key in (made.key, new.key):
        assert typed.parsed("get_limits", key=key).policies
    listed = {each.id: each for each in typed.parsed("list_keys", key=head).keys}
    assert listed[made.id].expires_at == new.replaced_until
    gone = typed.parsed("rotate_key", "0" * 16, key=head, body=body, status=404)
    assert gone.code is typed.models.Code.NOT_FOUND


def test_tokens_are_revoked(typed, head):
    told = typed.parsed("revoke_tokens", key=head, body=typed.models.RevocationBody(user="nobody"))
    assert (told.user, told.sessions, told.keys) == ("nobody", 0, [])
    both = typed.models.RevocationBody(token="some", user="nobody")
    refused = typed.parsed("revoke_tokens", key=head, body=both, status=400)
    assert [each.field for each in refused.errors] == ["token"]


def test_sessions_are_listed_and_ended(typed, head):
    assert typed.parsed("list_sessions").sessions == []
    assert typed.parsed("list_sessions", user="head", status=403).code is typed.models.Code.FORBIDDEN
    assert typed.parsed("end_session", "none", key=head, status=404).code is typed.models.Code.NOT_FOUND
    assert typed.parsed("end_sessions", key=head, user="dev").ended == 0


def test_settings_and_roles_are_told(typed, head):
    settings = {each.name: each for each in typed.parsed("list_settings", key=head).settings}
    assert (settings["AGENT_PORT"].value, settings["AGENT_PORT"].origin) == ("0", "env")
    roles = {each.name: each for each in typed.parsed("list_roles", key=head).roles}
    assert "erase" in roles["AUDIT_HEAD"].actions
    assert roles["AUDITOR"].scopes.to_dict() == {"audit:content": "audit_content"}
    assert roles["*"].requests == 20


def test_usage_and_limits(typed, head, answer):
    typed.service.wait_for_rows(entityId=answer.id)
    report = typed.parsed("get_usage", group_by=typed.models.Grouping.TOOL, from_="2020-01-01")
    assert "calculate" in [row.key for row in report.rows]
    assert report.total.turns >= 1
    policy, running = typed.parsed("get_limits").policies
    assert running.name == "concurrency"
    assert (policy.name, policy.limit, policy.window) == ("role", 1000, 60.0)
    assert typed.parsed("get_limits_of", "dev", key=head).policies[0].limit == 1000
    assert typed.parsed("get_limits_of", "nobody/at all", key=head, status=404).status == 404
    assert typed.parsed("reset_limits_of", "dev", key=head).policies[0].remaining == 1000


def test_the_board_of_operators(typed, head, answer):
    typed.service.wait_for_rows(entityId=answer.id)
    board = typed.parsed("get_operations", key=head, period=typed.models.Period.VALUE_0)
    assert board.turns.total >= 1
    assert board.latency.count >= 1
    assert "database" in board.dependencies.additional_properties


def test_health_and_the_document_itself(typed):
    assert typed.parsed("get_liveness").status == "live"
    readiness = typed.parsed("get_readiness")
    assert {"database", "model", "limits"} <= set(readiness.dependencies.additional_properties)
    assert typed.parsed("get_schema").additional_properties["openapi"].startswith("3.1")


def test_what_is_refused_is_a_problem_of_the_documents_kind(typed):
    refused = typed.parsed("chat", status=400, body=typed.models.Question(message="", max_tokens=0))
    assert isinstance(refused, typed.models.Problem)
    assert [each.field for each in refused.errors] == ["message", "maxTokens"]
    assert typed.parsed("get_usage", key="parley_wrong", status=401).code is typed.models.Code.UNAUTHENTICATED
    assert typed.parsed("list_audit_events", status=403).fault is typed.models.Fault.CALLER
    failed = typed.parsed("chat", status=500, body=typed.models.Question(message="[sim:529]"))
    assert (failed.code, failed.retryable) == (typed.models.Code.UPSTREAM_OVERLOADED, True)


def test_a_key_makes_a_repetition_the_same_answer(typed):
    question = typed.models.Question(message="Hello")
    first, again = (typed.parsed("chat", body=question, idempotency_key="typed-1") for _ in range(2))
    assert first == again


def test_no_operation_of_the_document_goes_without_a_call_above(typed):
    called = set(re.findall(r'typed\.(?:parsed|call)\(\s*"([a-z_]+)"', Path(__file__).read_text()))
    assert called == set(typed.operations)
