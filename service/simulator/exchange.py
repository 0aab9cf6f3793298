"""One HTTP request to the simulator and its answer, over ASGI's two channels.

Refuses a body over the API's 32 MB, a request without a key, and to go on when the client has left.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Struct

from service.errors import ClientGone
from service.simulator.error import ApiError

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

LARGEST_BODY = 32 * 1024 * 1024
ORGANIZATION = "00000000-0000-4000-8000-000000000000"
_LIMITS: Mapping[str, int] = {
    "requests": 4_000,
    "tokens": 2_400_000,
    "input-tokens": 2_000_000,
    "output-tokens": 400_000,
}


class Served(Struct, frozen=True, kw_only=True):
    """One request that is over; `status` is None where the client left before one was sent.

    `model`, `stream` and `markers` are as they stand in the body, where it could be read.
    """

    method: str
    path: str
    request_id: str
    model: str | None = None
    stream: bool = False
    markers: tuple[str, ...] = ()
    status: int | None = None
    disconnected: bool = False


class Exchange:
    """A request under way; `served` is what is known of it so far."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self._receive, self._send = receive, send
        request_id = f"req_{uuid4().hex[:24]}"
        self.served = Served(method=scope["method"], path=scope["path"], request_id=request_id)

    def note(self, **facts: Any) -> None:
        """Add to what is known: any field of `Served`."""
        self.served = msgspec.structs.replace(self.served, **facts)

    def require_key(self) -> None:
        """Refuse a request that brings no key; any key will do.

        Raises:
            ApiError: 401.
        """
        if not self.account:
            raise ApiError(401, "x-api-key header is required")

    @property
    def account(self) -> str:
        """The key that it brings; empty where it brings none."""
        scheme, _, token = self._headers.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        return self._headers.get("x-api-key", "").strip() or bearer

    async def body(self) -> bytes:
        """Read the whole body.

        Raises:
            ApiError: 413, when it is over `LARGEST_BODY` bytes.
            ClientGone: when the client leaves before its end.
        """
        body, more = bytearray(), True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > LARGEST_BODY:
                raise ApiError(413, "Request exceeds the maximum size")
        return bytes(body)

    async def pause(self, seconds: float | None) -> None:
        """Wait that long, or for ever with None.

        Raises:
            ClientGone: as soon as the client leaves.
        """
        try:
            async with asyncio.timeout(seconds):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return
        raise ClientGone

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and the headers, ours and the API's."""
        self.note(status=status)
        every = {**self._api_headers(status), **headers}
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in every.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a part of the body; a response never told its last part is torn down by the server."""
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    async def answer(self, status: int, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole JSON answer."""
        await self.begin(status, _json_headers(data) | dict(headers or {}))
        await self.write(data, last=True)

    async def tear(self, status: int, data: bytes) -> None:
        """Promise a whole JSON answer and send half of it."""
        await self.begin(status, _json_headers(data))
        await self.write(data[: len(data) // 2])

    async def refuse(self, error: ApiError) -> None:
        """Send an error of the API."""
        await self.answer(
            error.status, msgspec.json.encode(error.body(self.served.request_id)), error.headers
        )

    def _api_headers(self, status: int) -> dict[str, str]:
        reset = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers = {"request-id": self.served.request_id, "anthropic-organization-id": ORGANIZATION}
        for name, limit in _LIMITS.items():
            left = 0 if status == HTTPStatus.TOO_MANY_REQUESTS else limit - 1
            headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(left)
            headers[f"anthropic-ratelimit-{name}-reset"] = reset
        return headers


def _json_headers(data: bytes) -> dict[str, str]:
    return {"content-type": "application/json", "content-length": str(len(data))}
