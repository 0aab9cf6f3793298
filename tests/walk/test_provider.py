"""A service whose model is a plug-in's, behind another API than ours: whole turns, and what is told of it."""

from pathlib import Path

import pytest

from tests.harness.chat import ask, stream
from tests.harness.completions_api import CompletionsApi
from tests.harness.process import Process
from tests.harness.service import PROGRAM
from tests.harness.site import install
from tests.harness.telling import told
from tests.harness.tree import tree
from tests.upstream import serve

SOURCE = Path(__file__).parent / "plugins" / "openai"
MODEL = "local-small"
PRICES = """\
[models.local-small]
input = 1
output = "2.5"
cache_read = 0
cache_write_5m = 1
cache_write_1h = 1
since = 2026-01-01
source = "what the machine costs"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return install(SOURCE, tmp_path_factory.mktemp("plugin"))


@pytest.fixture
def api():
    fake = CompletionsApi()
    with serve(fake) as url:
        fake.url = f"{url}/v1"
        yield fake


@pytest.fixture
def provided(site, api, start_service):
    """Start a service that asks the plug-in's model."""

    def start(receiver=None, **settings):
        asked = {"OPENAI_BASE_URL": api.url, "OPENAI_API_KEY": "any", "AGENT_MODEL": MODEL}
        chosen = {"AGENT_MODEL_PROVIDER": "openai", "AGENT_MODELS": MODEL, "PYTHONPATH": str(site)}
        return start_service(receiver, **asked, **chosen, **settings)

    return start


def test_a_turn_with_a_tool_is_told_alike_by_every_signal(provided, receiver, tmp_path):
    (tmp_path / "prices.toml").write_text(PRICES)
    service = provided(receiver, AGENT_MODEL_PRICES=str(tmp_path / "prices.toml"))
    answer = ask(service, "How much? [sim:tool]").json()
    assert answer["response"].startswith("The tool returned ")
    assert "42" in answer["response"]
    assert (answer["model"], answer["stopReason"]) == (MODEL, "end_turn")
    assert answer["toolsCalled"] == ["calculate"]
    turn = told(service, receiver, answer["id"])
    metadata = turn.row["metadata"]
    assert [call["provider"] for call in metadata["modelCalls"]] == ["openai", "openai"]
    assert (metadata["usage"], metadata["cost"]) == (answer["usage"], answer["cost"])
    assert metadata["pricedAs"] == [MODEL]
    assert (turn.line["model"], turn.line["cost"]) == (MODEL, answer["cost"])
    assert service.lines(type="model_unpriced") == []
    check_spans(receiver, answer)


def check_spans(receiver, answer):
    spans = receiver.spans(answer["traceId"])
    assert tree(spans, answer["traceId"]).splitlines() == [
        "POST /api/v1/agent/chat SERVER",
        "  invoke_agent parley INTERNAL",
        f"    chat {MODEL} CLIENT",
        "    execute_tool calculate INTERNAL",
        f"    chat {MODEL} CLIENT",
    ]
    calls = [span.attributes for span in spans if span.kind == "CLIENT"]
    assert {call["gen_ai.provider.name"] for call in calls} == {"openai"}
    assert [call["gen_ai.response.finish_reasons"] for call in calls] == [["tool_use"], ["end_turn"]]
    assert {call["parley.usage.source"] for call in calls} == {"reported"}
    used = [(call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) for call in calls]
    micros = sum(read + 2.5 * written for read, written in used)
    assert answer["cost"] * 1_000_000 == pytest.approx(micros, abs=2)
    labels = {"gen_ai.provider.name": "openai", "gen_ai.request.model": MODEL}
    receiver.wait(lambda: receiver.points("gen_ai.client.operation.duration", labels))


def test_a_stream_and_the_turn_after_it_in_the_same_conversation(provided, api):
    service = provided()
    with stream(service, "Hello") as streamed:
        events = streamed.rest()
    names = [event.event for event in events]
    assert (names[0], names[-1]) == ("turn", "done")
    assert names.count("text") > 1
    again = ask(service, "And now?", conversationId=events[0].data["conversationId"])
    assert again.status_code == 200
    roles = [message["role"] for message in api.asked[-1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


def test_what_goes_wrong_has_its_category_and_is_asked_again_where_that_may_help(provided, api):
    service = provided()
    for marker, status, code, asked in (
        ("401", 500, "upstream_error", 1),
        ("429", 429, "upstream_rate_limited", 3),
        ("503", 500, "upstream_error", 3),
    ):
        before = len(api.asked)
        problem = ask(service, f"[sim:{marker}] hello")
        assert (problem.status_code, problem.json()["code"]) == (status, code)
        assert len(api.asked) - before == asked


def test_a_model_without_a_price_is_named_and_never_free(provided):
    service = provided()
    answer = ask(service, "Hello").json()
    (line,) = service.lines(type="model_unpriced")
    assert line["model"] == MODEL
    assert answer["cost"] > 0
    (row,) = service.wait_for_rows(entityId=answer["id"])
    assert "(dearest known)" in row["metadata"]["pricedAs"][0]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_provider_that_is_not_installed_stops_the_start_and_names_those_that_are(tmp_path, workers):
    settings = {"AGENT_PORT": "0", "AGENT_MODEL_PROVIDER": "openai"}
    settings |= {"AGENT_RATE_LIMIT_STORE": "redis://127.0.0.1:9"} if workers == "2" else {}
    with Process([*PROGRAM, "serve", "--workers", workers], tmp_path, settings) as process:
        assert process._popen.wait(30) == 2
        process.kill()
        said = "\n".join(process.stderr)
    assert "AGENT_MODEL_PROVIDER: no such provider: openai; installed: anthropic" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("text", ["[models.x]\ninput = 1\n", None], ids=["incomplete", "missing"])
def test_prices_that_are_none_stop_the_start(tmp_path, text):
    if text is not None:
        (tmp_path / "prices.toml").write_text(text)
    settings = {"AGENT_PORT": "0", "AGENT_MODEL_PRICES": str(tmp_path / "prices.toml")}
    with Process([*PROGRAM, "serve"], tmp_path, settings) as process:
        assert process._popen.wait(30) == 2
        process.kill()
        said = "\n".join(process.stderr)
    assert "parley: AGENT_MODEL_PRICES: " in said
    assert "Traceback" not in said
