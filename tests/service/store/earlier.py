"""Databases of the form before the sealed log, made by the migrations of that time."""

import asyncio
import json
from functools import partial

from service.store.migration import read_migrations
from service.store.postgres.engine import open_pool
from service.store.postgres.migrate import migrate as migrate_server
from service.store.sqlite.engine import WalEngine
from service.store.sqlite.location import path_of, prepare
from service.store.sqlite.migrate import migrate as migrate_file
from tests.harness.sql import ask
from tests.service.store.rows import CREATED_AT

LAST = 5
"""The last migration of the earlier form."""


async def engine_at(url, version=None):
    """An engine on a database that is migrated so far and no further; nothing is imported."""
    if url.startswith("sqlite"):
        prepare(path_of(url))
        engine = WalEngine(path_of(url), 60_000)
        await engine.writer.run(partial(migrate_file, read_migrations("sqlite")[:version]))
        return engine
    engine = await open_pool(url)
    async with engine.lent() as line:
        await migrate_server(read_migrations("postgres")[:version], line)
    return engine


def make_earlier(url, size, version=LAST):
    """Events in an earlier form: every third without a text, every fifth of the others erased."""
    asyncio.run(_close(url, version))
    events, contents = [], []
    for number in range(size):
        metadata = json.dumps({"toolsCalled": ["calculate", f"tool-{number % 2}"], "n": number})
        values = f"'e{number:05}', 'AGENT_QUERY', 't', 'QUERY', 'ann-{number % 4}', '{metadata}'"
        events.append(f"({values}, {CREATED_AT - number})")
        if number % 3:
            text = "NULL" if number % 5 == 0 else f"'What of {number}?'"
            contents.append(f"('e{number:05}', 'ann-{number % 4}', {text})")
    columns = "id, entity_type, entity_id, action, actor_id, metadata, created_at"
    ask(url, f"INSERT INTO audit_event ({columns}) VALUES {', '.join(events)}")  # noqa: S608 - our own
    ask(url, f"INSERT INTO audit_content (event_id, actor_id, query) VALUES {', '.join(contents)}")  # noqa: S608


async def _close(url, version):
    await (await engine_at(url, version)).close()
