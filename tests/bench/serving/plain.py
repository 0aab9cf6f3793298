"""The route that one writes by hand: Litestar over the SDK, and nothing else. Asks at UPSTREAM.

Refuses to be more: no caller is known, nothing is limited or recorded, errors are Litestar's.
"""

import os
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from anthropic import AsyncAnthropic, DefaultAioHttpClient
from litestar import Litestar, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

ASKED: dict[str, Any] = {"model": "claude-sonnet-5-5", "max_tokens": 4096}


class Question(msgspec.Struct):
    message: str


class Answer(msgspec.Struct):
    id: str
    response: str
    model: str
    tokens: int


def asked(question: Question) -> dict[str, Any]:
    return {**ASKED, "messages": [{"role": "user", "content": question.message}]}


def frame(text: str) -> bytes:
    return b"event: text\ndata: " + msgspec.json.encode({"text": text}) + b"\n\n"


async def frames(client: AsyncAnthropic, question: Question) -> AsyncIterator[bytes]:
    async for event in await client.messages.create(**asked(question), stream=True):
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            yield frame(event.delta.text)
    yield b"event: done\ndata: {}\n\n"


def routes(name: str, client: AsyncAnthropic) -> list[HTTPRouteHandler]:
    @post(f"/{name}", status_code=200, name=name)
    async def whole(data: Question) -> Answer:
        said = await client.messages.create(**asked(data))
        return Answer(said.id, said.content[0].text, said.model, said.usage.output_tokens)

    @post(f"/{name}/stream", status_code=200, name=f"{name} stream")
    async def stream(data: Question) -> Stream:
        return Stream(frames(client, data), media_type="text/event-stream")

    return [whole, stream]


def build() -> Litestar:
    given: dict[str, Any] = {"api_key": "any", "base_url": os.environ["UPSTREAM"]}
    default = routes("default", AsyncAnthropic(**given))
    aiohttp = routes("aiohttp", AsyncAnthropic(**given, http_client=DefaultAioHttpClient()))
    return Litestar([*default, *aiohttp], openapi_config=None, logging_config=None)
