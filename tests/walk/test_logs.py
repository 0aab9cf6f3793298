"""The log as an operator reads it: one JSON object a line on stdout, whoever wrote it, and nothing else."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.harness.chat import Farewell, ask, hang_up
from tests.harness.process import environment
from tests.harness.service import PROGRAM, Service
from tests.harness.telling import ending, row_asking
from tests.harness.waiting import wait

COMMON = {"level", "type", "timestamp", "traceId", "spanId", "requestId"}
TURN = COMMON | {
    "userId",
    "role",
    "query",
    "responseTime",
    "cost",
    "tokens",
    "usageSource",
    "toolsCalled",
    "model",
    "outcome",
}
BOTH = {"category", "code"}
FIELDS = {
    # `usageSource` is more than the contract's table asks for, as is `attempts` where a request failed
    "agent_query_completed": TURN,
    "agent_query_failed": TURN | BOTH | {"error", "stack", "attempts"},
    "agent_query_error": COMMON | BOTH | {"userId", "error", "stack"},
    "agent_query_refused": TURN | BOTH,
    # `category` and `code` are more than the contract's table asks for, as is `userId` of the last one
    "rate_limit_exceeded": COMMON | BOTH | {"userId", "role", "policy", "limit", "retryAfter"},
    "access_denied": COMMON | BOTH | {"reason", "route", "userId"},
}
LEVELS = {
    "agent_query_completed": "INFO",
    "agent_query_failed": "ERROR",
    "agent_query_error": "ERROR",
    "agent_query_refused": "WARN",
    "rate_limit_exceeded": "WARN",
    "access_denied": "WARN",
}


def ask_everything(service: Service) -> None:
    """One turn for each type of line; the fourth question of a caller is one too many."""
    for message, key in (("Hello", None), ("", None), ("[sim:400]", None), ("Hello", "")):
        ask(service, message, key=key)
    ask(service, "What is 1/0?")
    assert ask(service, "Hello").status_code == 429


@pytest.fixture(scope="module")
def debugged(tmp_path_factory):
    """A service that says all it can, asked for everything, and ended; with its lines as they were."""
    settings = {"LOG_LEVEL": "debug", "AGENT_RATE_LIMIT_ROLES": "AUDITEE=3"}
    with Service(tmp_path_factory.mktemp("debugged"), settings) as service:
        ask_everything(service)
        hang_up(service, "Hello", Farewell.RST, after=b"429")
        wait(lambda: len(service.lines(type="rate_limit_exceeded")) == 2)
        assert service.stop() == 0
        yield service


def test_every_line_on_stdout_is_one_json_object(debugged):
    lines = debugged.lines()
    assert len(lines) == len(debugged.stdout)
    assert (lines[0]["type"], lines[-1]["type"]) == ("service_started", "service_stopped")
    assert {line["type"] for line in lines} >= FIELDS.keys()
    assert all(line.keys() >= COMMON for line in lines)


def test_every_type_has_its_fields_and_its_level(debugged):
    for kind, fields in FIELDS.items():
        lines = debugged.lines(type=kind)
        assert lines
        assert {frozenset(line) for line in lines} == {frozenset(fields)}, kind
        assert {line["level"] for line in lines} == {LEVELS[kind]}


def test_timestamps_are_utc_with_milliseconds_and_do_not_go_back(debugged):
    stamps = [line["timestamp"] for line in debugged.lines()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp) for stamp in stamps)
    assert stamps == sorted(stamps)


def test_words_for_people_go_to_stderr_and_none_is_ours_to_grep(debugged):
    assert "API key: " in debugged.stderr
    assert "agent_query" not in debugged.stderr
    assert debugged.api_key not in "\n".join(debugged.stdout)


def test_a_completed_line_says_what_the_answer_said(service):
    message = "What is 12*7? " + "x" * 200
    answer = ask(service, message).json()
    line = ending(service, answer["id"])
    usage = answer["usage"]
    assert line["tokens"] == {
        "input": usage["inputTokens"],
        "output": usage["outputTokens"],
        "total": usage["totalTokens"],
    }
    assert (line["cost"], line["model"], line["outcome"]) == (answer["cost"], answer["model"], "answered")
    assert (line["userId"], line["role"], line["toolsCalled"]) == ("dev", "AUDITEE", ["calculate"])
    assert line["query"] == message[:100]
    assert isinstance(line["responseTime"], int)
    assert (line["traceId"], line["requestId"]) == (answer["traceId"], answer["id"])


def test_a_failed_line_has_its_stack_and_the_client_has_not(service):
    response = ask(service, "[sim:400]")
    line = ending(service, response.headers["x-request-id"])
    assert "UpstreamFailed" in line["error"]
    assert line["stack"].startswith("Traceback")
    assert "Traceback" not in response.text


def test_a_client_that_left_is_a_completed_line(service):
    query = "Gone for the log [sim:slow:100]"
    hang_up(service, query, Farewell.FIN)
    line = ending(service, row_asking(service, query)["entityId"])
    assert (line["type"], line["outcome"]) == ("agent_query_completed", "client_gone")


def test_no_character_of_a_message_breaks_the_line(service):
    message = "a\nb\r\tc\x1b[31m\x00\x7f\u2028\u2029\u202e\x85 \"'{}\\"
    answer = ask(service, message).json()
    assert ending(service, answer["id"])["query"] == message
    raw = next(line for line in service.stdout if answer["id"] in line)
    assert raw.isprintable()


def test_a_pipe_through_grep_and_jq_gives_every_line(tmp_path):
    reader = "jq -c ." if shutil.which("jq") else f"{sys.executable} -m json.tool --json-lines --compact"
    command = f"{' '.join(PROGRAM)} serve 2>&1 | tee all.txt | grep --line-buffered agent_query | {reader}"
    settings = environment({"AGENT_PORT": "0"})
    with subprocess.Popen(
        ["/bin/sh", "-c", command], cwd=tmp_path, env=settings, stdout=subprocess.PIPE, start_new_session=True
    ) as shell:
        said = tmp_path / "all.txt"
        wait(lambda: said.exists() and "Ready: " in said.read_text())
        service = Piped(said.read_text())
        for message in ("Hello", "", "[sim:400]"):
            ask(service, message)
        pid = next(
            json.loads(line)["pid"] for line in said.read_text().split("\n") if "service_started" in line
        )
        subprocess.run(["kill", str(pid)], check=True)
        output, _ = shell.communicate(timeout=30)
    lines = [json.loads(line) for line in output.decode().splitlines()]
    assert shell.returncode == 0
    assert [line["type"] for line in lines] == [
        "agent_query_completed",
        "agent_query_refused",
        "agent_query_error",
        "agent_query_failed",
    ]
    assert [line["level"] for line in lines] == ["INFO", "WARN", "ERROR", "ERROR"]


class Piped:
    """A service behind a pipe, as far as its words tell of it."""

    def __init__(self, words: str) -> None:
        told = dict(line.split(": ", 1) for line in words.split("\n") if ": " in line and line[0] != "{")
        self.url, self.api_key = told["Ready"], told["API key"]


def test_a_rate_of_zero_thins_completed_lines_and_nothing_else(bare):
    asked = [ask(bare, message) for message in ("Hello", "", "[sim:400]")]
    asked.append(ask(bare, "Hello", key=""))
    completed, *others = [response.headers["x-request-id"] for response in asked]
    kinds = [ending(bare, other)["type"] for other in others]
    assert kinds == ["agent_query_refused", "agent_query_failed", "access_denied"]
    assert bare.lines(requestId=completed) == []


def test_the_query_is_left_out_where_the_operator_says_so(bare):
    failed = ask(bare, "[sim:400] secret words").headers["x-request-id"]
    assert set(ending(bare, failed)) == FIELDS["agent_query_failed"] - {"query"}
    assert "secret words" not in "\n".join(bare.stdout)


def test_unstructured_is_for_a_terminal(start_service):
    service = start_service(AGENT_STRUCTURED_LOGGING_ENABLED="false")
    answer = ask(service, "Hello\nworld").json()
    wait(lambda: [line for line in service.stdout if "agent_query_completed" in line])
    (line,) = [line for line in service.stdout if "agent_query_completed" in line]
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)
    assert "INFO" in line
    assert "outcome=" in line
    assert service.wait_for_rows(entityId=answer["id"])


@pytest.mark.parametrize(("level", "missing"), [("error", {"INFO", "WARN"})])
def test_the_level_is_the_least_that_is_written(start_service, level, missing):
    service = start_service(LOG_LEVEL=level)
    ask(service, "Hello")
    ask(service, "")
    ask(service, "[sim:400]")
    service.wait_for_line(type="agent_query_failed")
    assert not missing & {line["level"] for line in service.lines()}
