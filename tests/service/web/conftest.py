"""The web face in process: a real application over a scripted model and a database of its own.

Refuses a server: requests go through ASGI, and an exception that leaves the application fails the test.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from config import Secret, Settings
from service.agent.upstream.scripted import ScriptedModel, say
from service.app import Doors, Records, build_app, build_checks, build_door, build_sealing, model_watch
from service.auth.derive import Derived
from service.auth.keys import make_key
from service.limits import Gate, MemoryStore, Rules
from service.store.database import open_database
from service.store.keys import StoredKey
from service.web.desk import unnoted
from telemetry.recorder import microseconds
from tests.harness.agent import FakeGate, TurnHouse

ROUTE = "/api/v1/agent/chat"


class Web:
    """One application; `client` sends its key unless told otherwise, `records` are its turns."""

    def __init__(self, client: httpx.AsyncClient, turns: TurnHouse, database: Any, key: str) -> None:
        self.client, self.turns, self.database, self.key = client, turns, database, key

    @property
    def records(self) -> list[Any]:
        return self.turns.records

    async def ask(self, message: Any = "hello", headers: Any = None, **more: Any) -> httpx.Response:
        """Ask one question."""
        return await self.client.post(ROUTE, json={"message": message, **more}, headers=headers)

    async def send(self, content: Any, **headers: str) -> httpx.Response:
        """Send a body as it is, as JSON unless a header says otherwise."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(
            ROUTE, content=content, headers={"content-type": "application/json"} | named
        )


@pytest.fixture
async def web(tmp_path) -> AsyncIterator[Callable[..., Any]]:
    """Make an application over a model and settings: `await web(model, streaming_enabled=False)`."""
    async with AsyncExitStack() as opened:

        async def make(model=None, gate=None, tools=None, **settings):
            database = await open_database(f"sqlite:///{tmp_path}/parley.db")
            opened.push_async_callback(database.close)
            derived = Derived(Secret("r" * 32))
            made = make_key(derived.pepper)
            await database.keys.add(
                StoredKey(id=made.id, user_id="ann", role="CFO", scopes=(), digest=made.digest, created_at=1)
            )
            house = TurnHouse(
                model or ScriptedModel(say("hi", "!")),
                tools,
                gate=gate or FakeGate(),
                conversations=database.conversations,
            )
            given = Settings(**settings)
            door = build_door(given, database, derived)
            real = Gate(MemoryStore(), Rules(given.limits, 60_000), None, microseconds)
            checks = build_checks(database, real, model_watch(given), None)
            records = Records(await build_sealing(given, database, derived), unnoted)
            doors = Doors(door, real)
            app = build_app(given, house.turns, database, derived, records, checks, doors)
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app),
                base_url="http://parley",
                headers={"authorization": f"Bearer {made.key}"},
            )
            await opened.enter_async_context(client)
            return Web(client, house, database, made.key)

        yield make
