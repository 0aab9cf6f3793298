"""Callers who ask one question after another through bad weather, and remember what they heard.

Refuses to wait for anybody who does not answer longer than a question may take.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count

from tests.faults.traffic import Heard, ask, question
from tests.faults.weather import CLEAR, Fate, Weather
from tests.harness.service import Service

AT_ONCE = 10
PAUSE, LONG_PAUSE = 0.05, 0.3
"""Seconds before the next question, and where there was no answer."""
ROLES = {"stream": "AUDITEE", "poor": "GUEST"}


class Crowd:
    """Asks by way of `door`; `heard` is all that came back, `asked` how often anything was asked."""

    def __init__(self, seed: int) -> None:
        self._seed, self._numbers = seed, count()
        self._fates: dict[str, Fate] = {}
        self.door = Weather(lambda name, times: CLEAR if times else self._fates.get(name, CLEAR))
        self.keys = {"nobody": "not-a-key"}
        self.heard: list[Heard] = []

    def enrol(self, service: Service) -> None:
        """Make a key for each kind of caller."""
        for user, role in ROLES.items():
            made = service.cli("keys", "create", "--user", user, "--role", role, "--json")
            self.keys[user] = json.loads(made.stdout)["key"]

    @asynccontextmanager
    async def asking(self) -> AsyncGenerator[None]:
        """Ask while the block lasts, and until the last answer is there."""
        enough = asyncio.Event()
        callers = [asyncio.create_task(self._go_on(enough)) for _ in range(AT_ONCE)]
        try:
            yield
        finally:
            enough.set()
            await asyncio.gather(*callers)

    async def _go_on(self, enough: asyncio.Event) -> None:
        while not enough.is_set():
            asked = question(self._seed, next(self._numbers))
            self._fates[asked.name] = asked.fate
            for _ in range(2 if asked.kind == "key" else 1):
                self.heard.append(await ask(self.door.url, self.keys, asked))
            await asyncio.sleep(PAUSE if self.heard[-1].turn else LONG_PAUSE)
