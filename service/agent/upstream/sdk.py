"""The `anthropic` SDK's own client, and asking as it does by default; it is imported late.

Refuses what its client takes from the environment, and to let it retry or trace: we do.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anthropic import AsyncAnthropic


def load() -> Any:
    """Import the SDK: a second, and 40 MB that processes share which are forked afterwards."""
    return import_module("anthropic")


def client_over(api_key: str, base_url: str, connect: float, transport: Any) -> AsyncAnthropic:
    """Make a client that reads nothing from the environment, retries nothing and traces nothing: we do.

    It follows no redirect either: what is asked is for the API alone. Without a transport it has httpx's own.
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
            **({"transport": transport} if transport else {}),
            event_hooks={"response": [wire.bound]},
        ),
    )
    client._custom_headers = {}  # noqa: SLF001 - ANTHROPIC_CUSTOM_HEADERS is read whatever is passed
    return client


class SdkAnswer:
    """An answer as the SDK gives it, each event as the JSON that it was."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._events, self.over = stream, aiter(stream), False
        self.status: int = stream.response.status_code

    def header(self, name: str) -> str | None:
        """A header of it."""
        return self._stream.response.headers.get(name)

    async def events(self) -> list[Any]:
        """The next event but pings; none at the end."""
        async for event in self._events:
            return [event.to_dict(mode="python", warnings=False)]
        return []

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._stream.close()


class SdkAsking:
    """Asks as the SDK does by default."""

    def __init__(self, client: AsyncAnthropic) -> None:
        self._client = client

    async def ask(self, given: Mapping[str, Any], further: Mapping[str, str]) -> SdkAnswer:
        """Ask once."""
        asked: dict[str, Any] = {**given, "stream": True, "extra_headers": further}
        return SdkAnswer(await self._client.messages.create(**asked))
