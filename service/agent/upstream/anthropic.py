"""The Messages API through the `anthropic` SDK, which is imported late.

The import takes over a second, so it happens in `warm`, off the loop. Nothing of the SDK leaves this room:
its events become pieces, its errors ours.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from config.secret import Secret
from config.settings import Settings, Transport
from service.agent.model import Hear, Prompt, Reply
from service.agent.upstream import caching, dialect, sdk
from service.agent.upstream.draft import Draft
from service.agent.upstream.hearing import Asking, check, listen
from service.agent.upstream.silence import Silence, Silent, Times
from service.agent.upstream.translation import translating
from service.errors import UpstreamFailed, UpstreamTimeout
from service.shares import Shares
from telemetry import names, spans

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

    from service.agent.upstream.connections import DirectTransport

BASE_URL = "https://api.anthropic.com"
COUNT_SECONDS = 5.0
"""That the API may take to count a prompt: what waits for it can do without."""
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
    traced, cache, transport = model.trace_context, model.prompt_cache, model.transport
    return AnthropicModel(secret, base_url, times, traced=traced, cache=cache, transport=transport)


class AnthropicModel:
    """A Model over HTTP. `base_url` None is the vendor's own; `traced`: it is told which trace asks it.

    `cache` is how long it is asked to keep prompts. `transport`: `direct` reads events without the SDK, over
    connections of our own; `httpx` is the SDK's default, and what proxies of the environment need.
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
        transport: Transport = "direct",
    ) -> None:
        self._api_key, self._base_url, self._times = api_key, base_url or BASE_URL, times or Times()
        self._traced = traced
        self._cache: caching.Cache = cache
        self._transport: Transport = transport
        self._client: AsyncAnthropic | None = None
        self._asking: Asking | None = None
        self._connections: DirectTransport | None = None
        self._shares = Shares()
        self._warming = Lock()
        parts = urlsplit(self._base_url)
        self.address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))

    def warm(self) -> None:
        """Import the SDK and make the client; call it in a thread."""
        with self._warming:
            if self._client is None:
                client, self._connections = self._connected()
                self._asking = self._asker(client)
                self._client = client

    def _asker(self, client: AsyncAnthropic) -> Asking:
        """Who asks by this client's key."""
        return self._directly(self._connections) if self._connections else sdk.SdkAsking(client)

    def _connected(self) -> tuple[AsyncAnthropic, DirectTransport | None]:
        """The client, and the transport that it shares with who asks directly; None where it has its own."""
        connections: Any = import_module("service.agent.upstream.connections")
        direct = self._transport == "direct" and not connections.proxied(self._base_url)
        transport = connections.DirectTransport() if direct else None
        if transport and self._base_url.startswith("https:"):
            transport.context()  # here, where no loop waits for it
        return sdk.client_over(self._api_key, self._base_url, self._times.connect, transport), transport

    def _directly(self, transport: DirectTransport) -> Asking:
        direct: Any = import_module("service.agent.upstream.direct")

        def probing(probe: Any) -> AsyncAnthropic:
            return sdk.client_over(self._api_key, self._base_url, self._times.connect, probe)

        return direct.DirectAsking(transport, self._times.connect, probing)

    def take_key(self, api_key: Secret) -> None:
        """Use another key from the next request on; those under way go on with theirs."""
        with self._warming:
            self._api_key = api_key.reveal()
            if self._client is not None:
                self._client.api_key = self._api_key
                self._asking = self._asker(self._client)

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
        assert self._asking is not None  # noqa: S101 - warm made it
        further = spans.leading_here() if self._traced else {}
        try:
            answer = await self._asking.ask(_arguments(prompt, self._cache), further)
        except Exception:  # cheaper than a context for each answer
            with translating(draft):
                raise
        try:
            draft.status = answer.status
            draft.request_id = answer.header("request-id")
            check(answer, draft)
            return await listen(answer, draft, hear, silence, self._shares)
        finally:
            await answer.aclose()


def _arguments(prompt: Prompt, cache: caching.Cache) -> dict[str, Any]:
    given = caching.arguments(prompt, cache)
    if prompt.schema is None:
        return given
    form = dialect.output_config(prompt.schema, sdk.load().transform_schema)
    return {**given, "output_config": {**given.get("output_config", {}), **form}}


def _whole_number(told: Any, draft: Draft) -> int:
    """The SDK takes what comes, whatever it is."""
    if not isinstance(told, int) or told < 0:
        raise draft.failed(UpstreamFailed, "The model's API counted something that is no number.")
    return told
