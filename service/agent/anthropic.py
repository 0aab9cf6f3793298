"""The Messages API through the `anthropic` SDK: the only file that imports it, and it does so late.

The import takes over a second, so it happens in `warm`, off the loop. Nothing of the SDK leaves this file:
its events become pieces, its errors ours.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, contextmanager
from email.utils import parsedate_to_datetime
from importlib import import_module
from threading import Lock
from time import time
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from service.agent.draft import ANSWERED, Draft
from service.agent.model import Hear, Piece, Prompt, Reply
from service.errors import (
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from anthropic import APIStatusError, AsyncAnthropic

BASE_URL = "https://api.anthropic.com"
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 30.0
"""How long the API may say nothing, before its first byte or between two."""
OK = 200
TOO_MANY_REQUESTS = 429
OVERLOADED = 529
NO_ANSWER = ValueError | LookupError | AttributeError | TypeError
"""What the SDK raises over bad JSON, and what reading events that lack their parts does."""


class AnthropicModel:
    """A Model over HTTP. `base_url` None is the vendor's own."""

    def __init__(self, api_key: str, base_url: str | None = None) -> None:
        self._api_key, self._base_url = api_key, base_url or BASE_URL
        self._client: AsyncAnthropic | None = None
        self._warming = Lock()
        parts = urlsplit(self._base_url)
        self.address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))

    def warm(self) -> None:
        """Import the SDK and make the client; call it in a thread."""
        with self._warming:
            if self._client is None:
                self._client = _client(self._api_key, self._base_url)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def ask(self, prompt: Prompt, hear: Hear) -> Reply:
        """Ask once, over a stream.

        Raises:
            UpstreamError: in our words, whatever the SDK or its transport raised.
        """
        if self._client is None:
            await asyncio.to_thread(self.warm)
        assert self._client is not None  # noqa: S101 - warm made it
        with _translating():
            stream = await self._client.messages.create(**_arguments(prompt), stream=True)
        async with stream:
            return await _listen(stream, hear)


def load() -> Any:
    """Import the SDK: a second, and 40 MB that processes share which are forked afterwards."""
    return import_module("anthropic")


def _client(api_key: str, base_url: str) -> AsyncAnthropic:
    """Make a client that reads nothing from the environment, retries nothing and traces nothing: we do."""
    sdk = load()
    for name in ("anthropic", "httpx2"):
        logging.getLogger(name).setLevel(logging.NOTSET)  # ANTHROPIC_LOG would log what messages say
    timeout = sdk.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    client = sdk.AsyncAnthropic(
        api_key=api_key, base_url=base_url, max_retries=0, timeout=timeout, open_telemetry=False
    )
    client._custom_headers = {}  # noqa: SLF001 - ANTHROPIC_CUSTOM_HEADERS is read whatever is passed
    return client


def _arguments(prompt: Prompt) -> dict[str, Any]:
    given = {
        "model": prompt.model,
        "max_tokens": prompt.max_tokens,
        "system": prompt.system,
        "messages": list(prompt.messages),
        "tools": list(prompt.tools),
    }
    return {key: value for key, value in given.items() if value}


async def _listen(stream: Any, hear: Hear) -> Reply:
    """Fold the stream's events into a Reply, telling the pieces on the way."""
    draft = Draft(stream.response.headers.get("request-id"))
    async with aclosing(_pieces(stream, draft)) as pieces:
        async for piece in pieces:  # what a listener raises is its own, and not translated
            await hear(piece)
    return draft.reply()


async def _pieces(stream: Any, draft: Draft) -> AsyncGenerator[Piece]:
    with _translating(ANSWERED, draft.request_id):
        async for event in stream:
            for piece in draft.take(event):
                yield piece


@contextmanager
def _translating(status: int | None = None, request_id: str | None = None) -> Generator[None]:
    """Turn whatever the SDK or its transport raises into one of our errors; None is not known yet."""
    try:
        yield
    except UpstreamError:
        raise
    except Exception as error:
        translated = _translate(error, status, request_id)
        if translated is None:
            raise
        raise translated from error


def _translate(error: Exception, status: int | None, request_id: str | None) -> UpstreamError | None:
    """Our word for the SDK's error; None for what is neither its nor its transport's."""
    sdk: Any = import_module("anthropic")
    transport: Any = import_module("httpx2")
    if isinstance(error, sdk.APIStatusError):
        return _of_status(cast("APIStatusError", error))
    if isinstance(error, sdk.APITimeoutError | transport.TimeoutException):
        return UpstreamTimeout(
            "The model's API did not answer in time.", status=status, request_id=request_id
        )
    if isinstance(error, sdk.APIConnectionError | transport.TransportError):
        return UpstreamUnreachable(
            "The connection to the model's API failed.", status=status, request_id=request_id
        )
    if isinstance(error, sdk.APIError | NO_ANSWER):
        return UpstreamFailed(
            "The model's API sent something that is no answer.", status=ANSWERED, request_id=request_id
        )
    return None


def _of_status(error: APIStatusError) -> UpstreamError:
    """An `error` event in mid-stream has status 200; its type says what it is."""
    kinds = {"overloaded_error": UpstreamOverloaded, "rate_limit_error": UpstreamRateLimited}
    codes = {OVERLOADED: UpstreamOverloaded, TOO_MANY_REQUESTS: UpstreamRateLimited}
    kind = codes.get(error.status_code) or kinds.get(error.type or "") or UpstreamFailed
    return kind(
        _said(error.status_code),
        status=error.status_code,
        request_id=error.request_id,
        retry_after_ms=_retry_after_ms(error.response.headers.get("retry-after")),
    )


def _said(status: int) -> str:
    if status == OK:
        return "The model's API reported an error in the middle of its answer."
    return f"The model's API answered with status {status}."


def _retry_after_ms(header: str | None) -> int | None:
    """Read seconds or an HTTP date; None where it is neither."""
    if header is None:
        return None
    try:
        return max(0, round(float(header) * 1000))
    except (ValueError, OverflowError):  # `inf` is a float
        pass
    try:
        return max(0, round((parsedate_to_datetime(header).timestamp() - time()) * 1000))
    except (ValueError, OverflowError):
        return None
