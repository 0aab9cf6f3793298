"""The Chat Completions API over HTTP: asks once, and tells the pieces of the answer as they come.

Refuses to ask again by itself, to repeat what the API says of an error, and to follow a redirect.
"""

import json
import os
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx

from config.settings import Settings
from service.agent.model import Hear, Piece, Prompt, Reply
from service.agent.upstream.silence import Silence, Silent, Times
from service.errors import (
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)

from .answer import Answer
from .prompt import body

BASE_URL = "https://api.openai.com/v1"
KINDS = {429: UpstreamRateLimited, 529: UpstreamOverloaded}
OVERLOADED = {"overloaded", "overloaded_error"}
"""Codes of an error in the middle of a stream that say so."""
ERROR = 400
END = "[DONE]"


def provide(settings: Settings, base_url: str | None) -> "CompletionsModel":
    """The model of these settings; its key and address are its own variables, not Parley's."""
    model = settings.model
    times = Times(
        connect=model.connect_timeout_ms / 1000,
        first=model.first_event_timeout_ms / 1000,
        between=model.event_timeout_ms / 1000,
    )
    address = base_url or os.environ.get("OPENAI_BASE_URL") or BASE_URL
    return CompletionsModel(os.environ.get("OPENAI_API_KEY", ""), address, times)


class CompletionsModel:
    """A Model behind the Chat Completions API."""

    provider = "openai"

    def __init__(self, api_key: str, base_url: str = BASE_URL, times: Times | None = None) -> None:
        self._times, parts = times or Times(), urlsplit(base_url)
        self.address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._client = httpx.AsyncClient(
            headers={"authorization": f"Bearer {api_key}", "accept-encoding": "identity"},
            timeout=httpx.Timeout(None, connect=self._times.connect),
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ask(self, prompt: Prompt, hear: Hear) -> Reply:
        """Ask once, over a stream.

        Raises:
            UpstreamError: in our words, whatever the API or the transport said.
        """
        answer, silence = Answer(prompt), Silence(self._times)
        try:
            async with silence.bounding():
                return await self._listen(prompt, answer, hear, silence)
        except Silent:
            raise answer.failed(UpstreamTimeout, "The model's API was silent for too long.") from None
        finally:
            if estimate := answer.estimate():
                with suppress(Exception):
                    await hear(estimate)

    async def _listen(self, prompt: Prompt, answer: Answer, hear: Hear, silence: Silence) -> Reply:
        async with aclosing(self._pieces(prompt, answer, silence)) as pieces:
            async for piece in pieces:  # what a listener raises is its own, and not translated
                with silence.ours():
                    await hear(piece)
        return answer.reply()

    async def _pieces(self, prompt: Prompt, answer: Answer, silence: Silence) -> AsyncGenerator[Piece]:
        with translating(answer):
            async with self._client.stream("POST", self._url, json=body(prompt)) as response:
                answer.status, answer.request_id = response.status_code, response.headers.get("x-request-id")
                if response.status_code >= ERROR:
                    raise _of_status(response, answer)
                async for chunk in _chunks(response):
                    silence.broken()
                    if error := chunk.get("error"):
                        raise _of_event(error, answer)
                    for piece in answer.take(chunk):
                        yield piece


async def _chunks(response: httpx.Response) -> AsyncGenerator[Mapping[str, Any]]:
    """The data of each event until the last, which is no JSON."""
    async for line in response.aiter_lines():
        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
        if data == END:
            return
        if data:
            yield json.loads(data)


def _of_status(response: httpx.Response, answer: Answer) -> UpstreamError:
    after = response.headers.get("retry-after", "")
    kind = KINDS.get(response.status_code, UpstreamFailed)
    detail = f"The model's API answered with status {response.status_code}."
    return answer.failed(kind, detail, retry_after_ms=int(after) * 1000 if after.isdecimal() else None)


def _of_event(error: Mapping[str, Any], answer: Answer) -> UpstreamError:
    said = {error.get("code"), error.get("type")}
    kind = UpstreamOverloaded if said & OVERLOADED else UpstreamFailed
    detail = "The model's API reported an error in the middle of its answer."
    return answer.failed(kind, detail, passing="server_error" in said)


@contextmanager
def translating(answer: Answer) -> Generator[None]:
    """Turn what the transport raises, and what is no chunk, into one of Parley's errors."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise answer.failed(UpstreamTimeout, "The model's API did not answer in time.") from error
    except httpx.TransportError as error:
        raise answer.failed(UpstreamUnreachable, "The connection to the model's API failed.") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise answer.failed(UpstreamFailed, "The model's API sent something that is no answer.") from error
