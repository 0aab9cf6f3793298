"""The systems that are compared: how each is started, and where it is asked.

Refuses to compare what does the same: each one's line says what it does besides.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from tests.bench.serving import building
from tests.bench.serving.process import LOAD_CORE, SERVER_CORE, Program
from tests.harness.ports import claim
from tests.harness.process import environment

ROOT = Path(__file__).resolve().parents[3]
QUESTION = "What is the weather in Paris today and should I take an umbrella?"
MODEL = "claude-sonnet-5-5"
CHAT, LITELLM_KEY, CALLBACKS = "/api/v1/agent/chat", "sk-bench", "otel"


class Upstreams(Struct, frozen=True):
    """Ports of the two that answer: one at once, one in pieces; the first takes OTLP as well."""

    instant: int
    paced: int


class Target(Struct, frozen=True):
    """Where one kind of answer is asked for."""

    port: int
    path: str
    body: Path
    headers: tuple[str, ...] = ()


class System(Struct, frozen=True):
    """One that runs, with its targets by kind: `json`, `stream`."""

    program: Program
    targets: Mapping[str, Target]


def body(folder: Path, name: str, value: Mapping[str, object]) -> Path:
    """A request's body as a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(value, separators=(",", ":")))
    return path


def messages(folder: Path, name: str, model: str, **further: object) -> Path:
    """A body of the Messages API."""
    asked = {"model": model, "max_tokens": 4096, "messages": [{"role": "user", "content": QUESTION}]}
    return body(folder, name, asked | further)


def settings(upstream: int, port: int, **further: str) -> dict[str, str]:
    """Ours, with all features on and no limit that would refuse."""
    limits = {"REQUESTS": "1000", "ROLES": "AUDITEE=1000", "WINDOW_MS": "100", "CONCURRENCY": "1000"}
    known = {
        "AGENT_MAX_TURNS": "1500",
        "AGENT_PORT": str(port),
        "ANTHROPIC_API_KEY": "any",
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{upstream}",
        "PYTHONPATH": str(ROOT),
    }
    return environment(
        {f"AGENT_RATE_LIMIT_{name}": value for name, value in limits.items()} | known | further
    )


OFF = {
    "AGENT_AUDIT_LOGGING_ENABLED": "false",
    "AGENT_STRUCTURED_LOGGING_ENABLED": "false",
    "LOG_LEVEL": "error",
    "AGENT_RATE_LIMIT_MODE": "off",
    "AGENT_SINKS": "logs",
    "OTEL_SDK_DISABLED": "true",
}
"""All features off that have a switch; who asks is still looked up."""


def exporting(collector: int) -> dict[str, str]:
    """OTLP to this port."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }


@contextmanager
def parley(
    folder: Path, upstream: int, arguments: Sequence[str] = (), cores: str = str(SERVER_CORE), **further: str
) -> Iterator[System]:
    """Ours over one upstream."""
    port, asked = claim(), {"message": QUESTION}
    command = [sys.executable, "-m", "service", "serve", *arguments]
    with Program(command, folder, settings(upstream, port, **further), cores) as program:
        program.wait_for_word("Ready:")
        key = next(line.split()[-1] for line in program.said.splitlines() if line.startswith("API key"))
        headers = (f"Authorization: Bearer {key}",)
        whole, stream = body(folder, "whole", asked), body(folder, "stream", asked | {"stream": True})
        bodies = {"json": whole, "stream": stream}
        yield System(program, {kind: Target(port, CHAT, file, headers) for kind, file in bodies.items()})


@contextmanager
def plain(folder: Path, upstream: int, transport: str) -> Iterator[System]:
    """A route over the SDK and nothing else: nobody is known, limited or recorded."""
    place, port = building.plain() / "venv/bin", claim()
    command = [str(place / "uvicorn"), "--factory", "plain:build", "--app-dir", str(Path(__file__).parent)]
    quiet = ["--no-access-log", "--log-level", "warning", "--loop", "uvloop", "--http", "httptools"]
    known = environment({"UPSTREAM": f"http://127.0.0.1:{upstream}"})
    with Program([*command, "--port", str(port), *quiet], folder, known) as program:
        program.wait_for(port)
        asked = body(folder, "whole", {"message": QUESTION})
        paths = {"json": f"/{transport}", "stream": f"/{transport}/stream"}
        yield System(program, {kind: Target(port, path, asked) for kind, path in paths.items()})


@contextmanager
def litellm(folder: Path, upstream: int, callbacks: bool, collector: int) -> Iterator[System]:  # noqa: FBT001
    """LiteLLM's proxy: a key, routing, cost; with its callbacks spans as well."""
    place, port = building.litellm() / "venv/bin", claim()
    model = {"model": f"anthropic/{MODEL}", "api_base": f"http://127.0.0.1:{upstream}", "api_key": "any"}
    config = {
        "model_list": [{"model_name": "m", "litellm_params": model}],
        "general_settings": {"master_key": LITELLM_KEY},
        "litellm_settings": {"callbacks": [CALLBACKS]} if callbacks else {},
    }
    known = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    if callbacks:
        known |= {"OTEL_EXPORTER": "otlp_http", **exporting(collector)}
        known["OTEL_ENDPOINT"] = f"http://127.0.0.1:{collector}/v1/traces"
    given = ["--config", str(body(folder, "config", config)), "--host", "127.0.0.1", "--port", str(port)]
    command = [str(place / "litellm"), *given, "--num_workers", "1", "--telemetry", "False"]
    with Program(command, folder, environment(known)) as program:
        program.wait_for(port)
        yield System(program, _messages_targets(folder, port, "m", f"Authorization: Bearer {LITELLM_KEY}"))


@contextmanager
def portkey(folder: Path, upstream: int) -> Iterator[System]:
    """Portkey's gateway: passes on; nobody is known, limited or recorded."""
    place, port = building.portkey() / "node_modules/@portkey-ai/gateway/build/start-server.js", claim()
    command = ["node", str(place), "--headless", f"--port={port}"]
    with Program(command, folder, environment({})) as program:
        program.wait_for(port)
        host = f"x-portkey-custom-host: http://127.0.0.1:{upstream}/v1"
        headers = ("Authorization: Bearer any", "x-portkey-provider: anthropic", host)
        yield System(program, _messages_targets(folder, port, MODEL, *headers))


def _messages_targets(folder: Path, port: int, model: str, *headers: str) -> Mapping[str, Target]:
    whole, stream = messages(folder, "whole", model), messages(folder, "stream", model, stream=True)
    bodies = {"json": whole, "stream": stream}
    return {kind: Target(port, "/v1/messages", file, headers) for kind, file in bodies.items()}


@contextmanager
def upstreams(folder: Path, gap_us: int = 5_000) -> Iterator[Upstreams]:
    """Both of them, on the core of the load."""
    program, ports = str(building.programs() / "upstream"), Upstreams(claim(), claim())
    known = os.environ
    with (
        Program([program, str(ports.instant), "0"], folder / "instant", known, str(LOAD_CORE)) as instant,
        Program([program, str(ports.paced), str(gap_us)], folder / "paced", known, str(LOAD_CORE)) as paced,
    ):
        instant.wait_for(ports.instant)
        paced.wait_for(ports.paced)
        yield ports
