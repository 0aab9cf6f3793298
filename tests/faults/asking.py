"""Callers over HTTP: forty and more at once, who read JSON and streams, are refused, and leave.

Refuses to try anything twice: an ask is one connection and one question, and what came of it is kept.
"""

import asyncio
import json
import random
from collections.abc import Callable
from itertools import count
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from tests.faults.heard import Heard, State
from tests.harness.chat import ROUTE
from tests.harness.sse import Parser
from tests.service.auth.mint import SECRET, Mint

CALLERS = 40
USERS = 50
"""Who share the asks, so that the limiter lets them ask on."""
FAR = 4_000_000_000
PAUSE = 0.1
"""Seconds that a caller waits who was not answered."""
SETTINGS = {
    "AGENT_JWT_SECRET": SECRET,
    "AGENT_RATE_LIMIT_ROLES": "CFO=1000,GUEST=5",
    "AGENT_SHUTDOWN_GRACE_MS": "4000",
}
MINT = Mint("HS256", key=SECRET.encode())
KINDS = {
    "json": 30,
    "stream": 40,
    "tool": 10,
    "leaves": 8,
    "failing": 4,
    "stranger": 3,
    "empty": 2,
    "guest": 6,
}
MARKERS = {"tool": "[sim:tool]", "failing": "[sim:529]"}
_numbers = count(1)


class Crowd:
    """Callers of one address; `heard` is told of each ask before it is sent, and changes as answers come.

    `enough` sends them home, each after the answer that is on its way.
    """

    def __init__(
        self, url: str, heard: Callable[[Heard], None], chance: random.Random, enough: Event
    ) -> None:
        place = urlsplit(url)
        self._host, self._port = place.hostname or "", place.port or 0
        self._heard, self._random, self._enough = heard, chance, enough
        self._tokens = [MINT.token(sub=f"cfo-{number}", exp=FAR) for number in range(USERS)]
        self._guest = MINT.token(sub="guest", role="GUEST", exp=FAR)

    async def ask(self) -> None:
        """Have everybody ask until they have had enough, or the service is gone."""
        await asyncio.gather(*(self._call() for _ in range(CALLERS)))

    async def _call(self) -> None:
        while not self._enough.is_set():
            heard = Heard(ask=f"ask-{next(_numbers)}")
            self._heard(heard)
            try:
                await self._once(heard, self._random.choices(list(KINDS), KINDS.values())[0])
                if heard.outcome == "failed":
                    await asyncio.sleep(PAUSE)
            except ConnectionRefusedError:
                return
            except (OSError, asyncio.IncompleteReadError, ValueError):
                await asyncio.sleep(PAUSE)

    async def _once(self, heard: Heard, kind: str) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(self._request(heard, kind))
            await Answer(reader, heard).read(leaves=kind == "leaves")
        finally:
            writer.close()

    def _request(self, heard: Heard, kind: str) -> bytes:
        slow = f"[sim:slow:{self._random.choice((1, 5, 15, 60))}]"
        message = "" if kind == "empty" else f"{heard.ask} {slow} {MARKERS.get(kind, '')}"
        token = {"stranger": "nobody", "guest": self._guest}.get(kind, self._random.choice(self._tokens))
        body = json.dumps({"message": message, "stream": kind in {"stream", "tool", "leaves"}}).encode()
        head = (
            f"POST {ROUTE} HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Answer:
    """One answer as it comes, written down in `heard`."""

    def __init__(self, reader: asyncio.StreamReader, heard: Heard) -> None:
        self._reader, self._heard = reader, heard
        self._text = ""

    async def read(self, *, leaves: bool) -> None:
        """Read it whole, or leave at its first text."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        status = int(head[0].split(" ")[1])
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        self._heard.id, self._heard.state = headers["x-request-id"], State.BEGAN
        self._heard.status = status
        if headers["content-type"].startswith("text/event-stream"):
            await self._stream(leaves=leaves)
            return
        self._whole(status, json.loads(await self._reader.readexactly(int(headers["content-length"]))))

    def _whole(self, status: int, body: Any) -> None:
        if status == 200:
            self._text = body["response"]
            self._told(body)
        else:
            self._failed(body)

    async def _stream(self, *, leaves: bool) -> None:
        parser = Parser()
        while size := int(await self._reader.readline(), 16):
            for event in parser.feed((await self._reader.readexactly(size + 2))[:-2]):
                self._take(event)
                if leaves and event.event == "text":
                    self._heard.left = True
                    return

    def _take(self, event: Any) -> None:
        match event.event:
            case "text":
                self._text += event.data["text"]
            case "done":
                self._told(event.data)
            case "error":
                self._failed(event.data)
            case _:
                pass

    def _told(self, body: Any) -> None:
        heard, usage = self._heard, body["usage"]
        heard.state, heard.outcome = State.TOLD, "answered"
        heard.input, heard.output = usage["inputTokens"], usage["outputTokens"]
        heard.cost, heard.length = round(body["cost"] * 1_000_000), len(self._text)

    def _failed(self, body: Any) -> None:
        heard = self._heard
        heard.state, heard.code = State.TOLD, body["code"]
        heard.outcome = OUTCOMES.get(body["code"], "failed")


REFUSALS = (
    *("unauthenticated", "invalid_request", "rate_limited", "audit_unwritable"),
    *("over_budget", "budget_unavailable"),
)
OUTCOMES = {
    **dict.fromkeys(REFUSALS, "refused"),
}
"""How a turn ended that was answered with a problem of this code."""
