"""The Messages API through the `anthropic` SDK: the only file that imports it, and it does so late.

The import takes over a second, so it happens in `warm`, off the loop. Nothing of the SDK leaves this file:
its events become pieces, its errors ours.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from config.settings import Settings
from service.agent.model import Hear, Piece, Prompt, Reply
from service.agent.upstream import caching, dialect
from service.agent.upstream.draft import Draft
from service.agent.upstream.silence import Silence, Silent, Times
from service.agent.upstream.translation import translating
from service.errors import UpstreamFailed, UpstreamTimeout
from telemetry import names, spans

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anthropic import AsyncAnthropic

BASE_URL = "https://api.anthropic.com"
EVENTS = "text/event-stream"
COUNT_SECONDS = 5.0
"""That the API may take to count a prompt: what waits for it can do without."""
LINGER = 0.25
"""Seconds that the end of a body may take after its last event, for the sake of the connection."""
KNOWN = {
    *("message_start", "message_delta", "message_stop"),
    *("content_block_start", "content_block_delta", "content_block_stop"),
}
"""Events that are progress; pings are none, nor is what nobody knows."""


SIMULATOR_KEY = "simulator"


def provide(settings: Settings, base_url: str | None) -> AnthropicModel:
    """The model of these settings: the entry point `anthropic` of `parley.models`."""
    model, key = settings.model, settings.model.api_key
    times = Times(
        connect=model.connect_timeout_ms / 1000,
        first=model.first_event_timeout_ms / 1000,
        between=model.event_timeout_ms / 1000,
    )
    secret = SIMULATOR_KEY if model.simulated or key is None else key.reveal()
    traced, cache = model.trace_context, model.prompt_cache
    return AnthropicModel(secret, base_url, times, traced=traced, cache=cache)


class AnthropicModel:
    """A Model over HTTP. `base_url` None is the vendor's own; `traced`: it is told which trace asks it.

    `cache` is how long it is asked to keep prompts.
    """

    provider = names.PROVIDER

    def __init__(
        self,
        api_key: str,
        base_url: str | None = None,
        times: Times | None = None,
        *,
        traced: bool = False,
        cache: caching.Cache = "off",
    ) -> None:
        self._api_key, self._base_url, self._times = api_key, base_url or BASE_URL, times or Times()
        self._traced = traced
        self._cache: caching.Cache = cache
        self._client: AsyncAnthropic | None = None
        self._warming = Lock()
        parts = urlsplit(self._base_url)
        self.address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))

    def warm(self) -> None:
        """Import the SDK and make the client; call it in a thread."""
        with self._warming:
            if self._client is None:
                self._client = _client(self._api_key, self._base_url, self._times.connect)

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
        draft, silence = Draft(), Silence(self._times)
        try:
            async with silence.bounding():
                return await self._answer(prompt, hear, draft, silence)
        except Silent:
            raise draft.failed(UpstreamTimeout, "The model's API was silent for too long.") from None
        finally:
            if estimate := draft.tally.estimate(prompt.max_tokens):
                with suppress(Exception):  # what the listener has to say to it, it has said
                    await hear(estimate)

    async def count(self, prompt: Prompt) -> int:
        """Ask how many tokens the prompt has as input; within COUNT_SECONDS.

        Raises:
            UpstreamError: in our words, whatever the SDK or its transport raised.
        """
        if self._client is None:
            await asyncio.to_thread(self.warm)
        assert self._client is not None  # noqa: S101 - warm made it
        draft = Draft()
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                with translating(draft):
                    given: dict[str, Any] = {"model": prompt.model, **caching.counted(prompt)}
                    told = await self._client.messages.count_tokens(**given)
        except TimeoutError:
            raise draft.failed(UpstreamTimeout, "The model's API took too long to count.") from None
        return _whole_number(told.input_tokens, draft)

    async def _answer(self, prompt: Prompt, hear: Hear, draft: Draft, silence: Silence) -> Reply:
        assert self._client is not None  # noqa: S101 - warm made it
        further = spans.leading_here() if self._traced else {}
        with translating(draft):
            stream = await self._client.messages.create(
                **_arguments(prompt, self._cache), stream=True, extra_headers=further
            )
        async with stream:
            draft.status = stream.response.status_code
            draft.request_id = stream.response.headers.get("request-id")
            _check(stream.response.headers, draft)
            return await _listen(stream, draft, hear, silence)


def load() -> Any:
    """Import the SDK: a second, and 40 MB that processes share which are forked afterwards."""
    return import_module("anthropic")


def _client(api_key: str, base_url: str, connect: float) -> AsyncAnthropic:
    """Make a client that reads nothing from the environment, retries nothing and traces nothing: we do.

    It follows no redirect either: what is asked is for the API alone.
    """
    sdk, wire = load(), import_module("service.agent.upstream.wire")
    for name in ("anthropic", "httpx2"):
        logging.getLogger(name).setLevel(logging.NOTSET)  # ANTHROPIC_LOG would log what messages say
    timeout = sdk.Timeout(None, connect=connect)
    client = sdk.AsyncAnthropic(
        api_key=api_key,
        base_url=base_url,
        max_retries=0,
        timeout=timeout,
        open_telemetry=False,
        default_headers=wire.PLAIN,
        http_client=sdk.DefaultAsyncHttpxClient(
            base_url=base_url,
            timeout=timeout,
            follow_redirects=False,
            event_hooks={"response": [wire.bound]},
        ),
    )
    client._custom_headers = {}  # noqa: SLF001 - ANTHROPIC_CUSTOM_HEADERS is read whatever is passed
    return client


def _arguments(prompt: Prompt, cache: caching.Cache) -> dict[str, Any]:
    given = caching.arguments(prompt, cache)
    if prompt.schema is None:
        return given
    form = dialect.output_config(prompt.schema, load().transform_schema)
    return {**given, "output_config": {**given.get("output_config", {}), **form}}


def _whole_number(told: Any, draft: Draft) -> int:
    """The SDK takes what comes, whatever it is."""
    if not isinstance(told, int) or told < 0:
        raise draft.failed(UpstreamFailed, "The model's API counted something that is no number.")
    return told


def _check(headers: Any, draft: Draft) -> None:
    """Refuse a body that is no stream of events before anybody waits for one."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != EVENTS:
        raise draft.failed(UpstreamFailed, "The model's API answered with something else than events.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise draft.failed(UpstreamFailed, "The model's API compressed its answer unasked.")


async def _listen(stream: Any, draft: Draft, hear: Hear, silence: Silence) -> Reply:
    """Fold the stream's events into a Reply, telling the pieces on the way."""
    async with aclosing(_pieces(stream, draft, silence)) as pieces:
        async for piece in pieces:  # what a listener raises is its own, and not translated
            with silence.ours():
                await hear(piece)
    return draft.reply()


async def _pieces(stream: Any, draft: Draft, silence: Silence) -> AsyncGenerator[Piece]:
    with translating(draft):
        events = aiter(stream)
        async for event in events:
            if event.type in KNOWN:
                silence.broken()
            for piece in draft.take(event):
                yield piece
            if draft.whole:
                await _drain(events)


async def _drain(events: Any) -> None:
    """Read to the end of a body whose answer is whole: what comes now changes nothing of it."""
    with suppress(Exception):
        async with asyncio.timeout(LINGER):
            async for _ in events:
                pass
