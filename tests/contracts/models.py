"""The models that keep one contract, each with somebody who answers it: a simulator, a fake, or a script.

A plug-in's author adds theirs to both tables below and runs `test_models.py`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from msgspec import Struct

from service.agent.model import ContentBegan, Model, TextPiece, ToolUse
from service.agent.upstream.anthropic import AnthropicModel
from service.agent.upstream.scripted import Pause, ScriptedModel, begin, say, use
from service.agent.upstream.silence import Times
from service.errors import UpstreamFailed, UpstreamOverloaded, UpstreamRateLimited, UpstreamUnreachable
from service.simulator import build
from tests.harness.completions_api import CompletionsApi
from tests.harness.messages_api import CannedApi, block, end, start
from tests.upstream import serve
from tests.walk.plugins.openai.completions import CompletionsModel

BAD_ARGUMENTS = "[sim:bad-arguments]"
"""Asks for a tool call whose arguments are no JSON; the one marker that the simulator has not."""

HALF = (*begin(), ContentBegan(), TextPiece("You said"))
WANTED = [ToolUse(f"c{number}", "calculate", {"expression": "6*7"}) for number in range(3)]


def at(status: int, kind: Any = UpstreamFailed, after: int | None = None) -> list[Exception]:
    return [kind("no", status=status, request_id="req_1", retry_after_ms=after)]


SCRIPTS: dict[str, Any] = {
    "[sim:text] hello": say("You said: ", "hello", "."),
    "[sim:tool]": use(WANTED[0]),
    "[sim:tools3]": use(*WANTED),
    BAD_ARGUMENTS: use(ToolUse("c1", "calculate", None)),
    "[sim:refuse] hello": say("You", stop_reason="refusal"),
    "[sim:stall]": (*begin(), Pause(lambda: asyncio.Event().wait())),
    "[sim:429]": at(429, UpstreamRateLimited),
    "[sim:429-after:7]": at(429, UpstreamRateLimited, 7_000),
    "[sim:529]": at(529, UpstreamOverloaded),
    "[sim:cut] hello": (*HALF, *at(200, UpstreamUnreachable)),
    "[sim:error-event] hello": (*HALF, *at(200, UpstreamOverloaded)),
    "[sim:truncate] hello": (*HALF, *at(200)),
    "[sim:bad-json] hello": (*HALF, *at(200)),
} | {f"[sim:{status}]": at(status) for status in (400, 401, 402, 403, 404, 413, 500, 503)}
"""What a model is asked, in the simulator's words, and the script that is the same."""

BROKEN_CALL = [
    start(),
    *block(
        0,
        {"type": "tool_use", "id": "t1", "name": "calculate", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"expression": "6*'},
    ),
    *end("tool_use"),
]


class Api(Struct, frozen=True):
    """An API that runs: where it is, how often it was asked, and how many clients left before its end."""

    url: str
    asked: Callable[[], int]
    left: Callable[[], int]


@contextmanager
def messages_api() -> Iterator[Api]:
    """The Messages API: the simulator."""
    simulator = build()
    with serve(simulator) as url:
        yield Api(
            url,
            lambda: simulator.active + len(simulator.requests),
            lambda: sum(each.disconnected for each in simulator.requests),
        )


@contextmanager
def completions_api() -> Iterator[Api]:
    """The Chat Completions API: the fake."""
    fake = CompletionsApi()
    with serve(fake) as url:
        yield Api(f"{url}/v1", lambda: len(fake.asked), lambda: fake.left)


APIS: dict[str, Callable[[], Any]] = {
    "anthropic": messages_api,
    "anthropic over httpx": messages_api,
    "openai": completions_api,
}
"""Whoever speaks HTTP, and the API that answers."""

MODELS: dict[str, Callable[[str, Times | None], Any]] = {
    "anthropic": lambda url, times: AnthropicModel("any", url, times),
    "anthropic over httpx": lambda url, times: AnthropicModel("any", url, times, transport="httpx"),
    "openai": lambda url, times: CompletionsModel("any", url, times),
}
"""Whoever speaks HTTP, and the model that asks."""

NAMES = (*MODELS, "scripted")


@asynccontextmanager
async def asking(name: str, url: str, times: Times | None = None) -> AsyncGenerator[Model]:
    """A model over HTTP, closed afterwards."""
    model = MODELS[name](url, times)
    try:
        yield model
    finally:
        await model.aclose()


def scripted(question: str) -> ScriptedModel:
    """The script that is the same as what an API answers to this question."""
    return ScriptedModel(SCRIPTS[question], say("You said so."))


@contextmanager
def broken_call() -> Iterator[str]:
    """A Messages API that only wants a tool whose arguments are no JSON."""
    with serve(CannedApi(BROKEN_CALL)) as url:
        yield url
