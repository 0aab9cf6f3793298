"""No secret of the settings in anything that leaves: to the model's API, callers, lines, signals, rows, hook.

Each secret is a word of its own, looked for in everything that was said; a word that belongs there shows
that everything was looked through.
"""

import json
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.simulator import build
from tests.conftest import MANY
from tests.harness.chat import ask, stream
from tests.harness.hook import Hook
from tests.harness.postgres import PASSWORD as DATABASE_PASSWORD
from tests.harness.redis import PASSWORD as REDIS_PASSWORD
from tests.harness.redis import Redis
from tests.harness.site import install
from tests.harness.waiting import wait
from tests.upstream import serve

CONTROL = "control-4711"
API_KEY = "sk-ant-canary-api-key"
SECRETS = {
    "ANTHROPIC_API_KEY": API_KEY,
    "AGENT_SECRET_KEY": "canary-secret-key-" + "s" * 32,
    "AGENT_SECRET_KEY_PREVIOUS": "canary-previous-key-" + "p" * 32,
    "AGENT_JWT_SECRET": "canary-jwt-secret-" + "j" * 32,
    "AGENT_ALERT_WEBHOOK_SECRET": "whsec_" + "Y2FuYXJ5" * 5,
    "AGENT_AUDIT_SIGNING_KEY": "ca7a" * 16,
}
HEADER = f"authorization: Bearer {API_KEY}"
CANARIES = [*SECRETS.values(), DATABASE_PASSWORD, REDIS_PASSWORD]
MESSAGES = [
    "[sim:tool] use the tool hostile",
    "[sim:tools3] hostile, and what is 12*7?",
    "[sim:rounds:2] What is 1/0?",
    "[sim:500]",
    "[sim:401]",
    "[sim:tool][sim:error-event]",
    "[sim:bad-json]",
    "[sim:nonsense]",
]


@contextmanager
def listening(heard):
    """The simulator behind a door that writes down all it is told, the one header that is for it too."""
    simulator = build()

    async def door(scope, receive, send):
        async def told():
            message = await receive()
            heard.append(message.get("body", b"").decode())
            return message

        if scope["type"] == "http":
            heard.extend(f"{name.decode()}: {value.decode()}" for name, value in scope["headers"])
        await simulator(scope, told, send)

    with serve(door) as url:
        yield url


@pytest.fixture(scope="module")
def said(postgres, receiver, tmp_path_factory):
    """Everything that a service said and was heard to say, by whom it was told."""
    from tests.harness.service import Service

    folder, upstream = tmp_path_factory.mktemp("canary"), []
    site = install(Path(__file__).parent / "plugins", folder)
    (folder / "cwd").mkdir()
    with listening(upstream) as url, Hook() as hook, Redis() as redis:
        settings = SECRETS | {
            **receiver.settings(),
            **MANY,
            "ANTHROPIC_BASE_URL": url,
            "DATABASE_URL": postgres.database(),
            "AGENT_RATE_LIMIT_STORE": redis.url(),
            "AGENT_ALERT_WEBHOOK": hook.url,
            "AGENT_TELEMETRY_CONTENT": "true",
            "AGENT_TOOLS": "hostile,calculate",
            "AGENT_MODEL_BREAKER": "false",
            "LOG_LEVEL": "debug",
            "PYTHONPATH": str(site),
        }
        with Service(folder / "cwd", settings) as service:
            answers = list(walked(service))
            redis.stop()
            answers += walked(service)
            wait(lambda: len(service.rows()) >= 4 * len(MESSAGES))
            rows = [*service.rows(), *service.sql("SELECT * FROM audit_content")]
            assert service.stop() == 0
            yield {
                "upstream": upstream,
                "answers": answers,
                "lines": service.stdout,
                "words": service.stderr.splitlines(),
                "rows": [str(row) for row in rows],
                "spans": [repr(span) for span in receiver.spans()],
                "logs": [repr(log) for log in receiver.logs()],
                "metrics": [
                    repr(point) for name in receiver.metric_names() for point in receiver.points(name)
                ],
                "alerts": [got.body.decode() for got in hook.got],
            }


def walked(service):
    """Turns that are answered, fail and are refused, and what routes and commands show; what came back."""
    for message in MESSAGES:
        yield told(ask(service, f"{message} {CONTROL}"))
        with stream(service, f"{message} {CONTROL}") as answer:
            yield from (json.dumps(event.data) for event in answer.rest())
    for key in ("wrong", "e30.e30.e30", ""):
        yield told(ask(service, CONTROL, key=key))
    for path in ("/health/ready", "/schema/openapi.json", "/nowhere", "/api/v1/limits"):
        headers = {"authorization": f"Bearer {service.api_key}"}
        yield told(httpx.get(service.url + path, headers=headers, trust_env=False))
    for command in (("settings",), ("check",), ("tools",), ("audit", "list")):
        done = service.cli(*command, "--json")
        yield done.stdout + done.stderr


def told(answer):
    return f"{answer.status_code} {dict(answer.headers)} {answer.text}"


PLACES = ["upstream", "answers", "lines", "words", "rows", "spans", "logs", "metrics", "alerts"]


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_said(said, place):
    for text in said[place]:
        if text == HEADER:
            continue
        assert [canary for canary in CANARIES if canary in text] == [], text[:500]


@pytest.mark.parametrize("place", ["upstream", "answers", "lines", "rows", "spans"])
def test_what_belongs_there_is(said, place):
    assert any(CONTROL in text for text in said[place])


def test_everybody_was_told_something_and_the_hostile_result_was_marked(said):
    assert [place for place in PLACES if place not in {"alerts", "words"} and not said[place]] == []
    assert HEADER in said["upstream"]
    results = [text for text in said["upstream"] if "evil.example" in text]
    assert results
    for text in results:
        for message in json.loads(text)["messages"]:
            blocks = message["content"] if isinstance(message["content"], list) else []
            for block in blocks:
                if block["type"] == "tool_result" and "evil.example" in block["content"]:
                    assert block["content"].count("</tool_output") == 1
                    assert block["content"].startswith('<tool_output tool="hostile" mark="')
