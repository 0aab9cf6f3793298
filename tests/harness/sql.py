"""A foreign client of a database, whichever engine its URL names.

Refuses to share anything with the service: plain sqlite3, plain asyncpg, a connection for each question.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from typing import Any

import asyncpg

from tests.harness.waiting import PATIENCE

SQLITE = "sqlite:///"


def ask(url: str, statement: str, *arguments: object) -> list[dict[str, Any]]:
    """Run one statement and give its rows by column name; what it changes lasts.

    Arguments are `?` on SQLite and `$1` on PostgreSQL. JSON is text on both.
    """
    if url.startswith(SQLITE):
        return _ask_file(url.removeprefix(SQLITE), statement, arguments)
    # A test may have an event loop running already, in this very thread.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, _ask_server(url, statement, arguments)).result()


def _ask_file(path: str, statement: str, arguments: Sequence[Any]) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(statement, arguments)]


async def _ask_server(url: str, statement: str, arguments: Sequence[Any]) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(url)
    try:
        return [dict(row) for row in await connection.fetch(statement, *arguments)]
    finally:
        await connection.close()


@asynccontextmanager
async def locked(url: str, table: str) -> AsyncGenerator[None]:
    """Keep everybody else from writing a table, on SQLite from writing anything."""
    if url.startswith(SQLITE):
        with closing(sqlite3.connect(url.removeprefix(SQLITE), isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
        return
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE")
        yield
    finally:
        await connection.close()
