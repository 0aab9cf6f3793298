"""The database and the store of limits of one service, and how they go away now and then.

Refuses to let both engines differ more than they must: a file is locked, a server is cut off or silent.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from random import Random
from typing import Self

from tests.faults.proxy import Mode, Proxy
from tests.harness.postgres import Postgres
from tests.harness.redis import Redis

CALM, AWAY = (1.0, 5.0), (0.3, 2.5)
"""Seconds between two outages, and of one."""


class Outages:
    """Makes database and limiter, and takes them away. A context manager; `met` counts outages by kind."""

    def __init__(self, cwd: Path, seed: int, database: str) -> None:
        self._chance = Random(f"{seed}/outages")  # noqa: S311 - a plan, no secret
        self._path = cwd / "var" / "parley.db"
        self._database = database
        self.met = Counter[str]()
        self.settings: dict[str, str] = {}

    def __enter__(self) -> Self:
        with ExitStack() as rooms:
            self._limiter = rooms.enter_context(Proxy((redis := rooms.enter_context(Redis())).port))
            self.settings["AGENT_RATE_LIMIT_STORE"] = redis.url(self._limiter.port)
            if self._database == "postgres":
                server = rooms.enter_context(Postgres())
                self._server = rooms.enter_context(Proxy(server.port))
                self.settings["DATABASE_URL"] = self._server.through(server.database())
            self._rooms = rooms.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._rooms.close()

    @property
    def ports(self) -> set[int]:
        """Where the service finds both."""
        return {self._limiter.port, *([self._server.port] if self._database == "postgres" else [])}

    @asynccontextmanager
    async def happening(self) -> AsyncGenerator[None]:
        """Outages one after another while the block lasts; none goes on after it."""
        going = asyncio.create_task(self._go_on())
        try:
            yield
        finally:
            going.cancel()
            await asyncio.wait((going,))

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(self._chance.uniform(*CALM))
            what, seconds = self._chance.choice(("limiter", "database")), self._chance.uniform(*AWAY)
            how = self._chance.choice((Mode.REFUSE, Mode.SILENT))
            if what == "limiter":
                await self._away(self._limiter, what, how, seconds)
            elif self._database == "postgres":
                await self._away(self._server, what, how, seconds)
            else:
                await self._locked(seconds)

    async def _away(self, server: Proxy, what: str, how: Mode, seconds: float) -> None:
        self.met[f"{what} {how.value}"] += 1
        server.mode = how
        try:
            await asyncio.sleep(seconds)
        finally:
            server.mode = Mode.PASS

    async def _locked(self, seconds: float) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=0)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:  # somebody writes just now
                return
            self.met["database locked"] += 1
            try:
                await asyncio.sleep(seconds)
            finally:
                connection.execute("ROLLBACK")
