"""SQLite's own ways to put one row in another's place."""

import sqlite3
from contextlib import closing

import pytest

from tests.service.store.rows import batch_of
from tests.service.store.test_append_only import ROWS, content_of, sql

KEYS = {
    "audit_event": [
        {"id": "'forged'"},
        {"log_index": "log_index + 1000"},
        {},
        {"id": "'x'", "log_index": "0"},
    ],
    "audit_content": [{"query": "'forged'"}, {"log_index": "0", "query": "NULL"}],
    "audit_tile": [{"root": "x'ab'"}],
    "audit_log": [{"log_id": "'forged'"}, {"one": "2"}],
    "audit_checkpoint": [{"note": "'forged'"}],
    "audit_tombstone": [{"leaves": "x'ab'"}],
    "audit_quarantine": [{"reason": "'forged'"}],
}
"""What is changed in a copy of a row, so that some key of it is another's still."""


@pytest.fixture
async def filled(database, path):
    await database.audit.append(batch_of("event", 300))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in ROWS.values():
            connection.execute(sql("sqlite", statement))
    return path


def copying(verb, table, columns, changed):
    columns = [each for each in columns if each != "tenant"]  # it is made of the metadata, and by nobody else
    chosen = ", ".join(changed.get(column, column) for column in columns)
    return f"{verb} INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {table} LIMIT 1"  # noqa: S608


@pytest.mark.parametrize("recursive", [0, 1])
@pytest.mark.parametrize("verb", ["INSERT", "INSERT OR REPLACE", "REPLACE", "INSERT OR IGNORE"])
@pytest.mark.parametrize(("table", "changed"), [(table, each) for table in KEYS for each in KEYS[table]])
async def test_no_row_takes_anothers_place(filled, url, table, changed, verb, recursive):
    before = content_of(url)
    columns = list(before[table][0])
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA recursive_triggers = {recursive}")
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(copying(verb, table, columns, changed))
    assert content_of(url) == before


@pytest.mark.parametrize("recursive", [0, 1])
async def test_an_insertion_does_not_become_an_update(filled, url, recursive):
    before = content_of(url)
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA recursive_triggers = {recursive}")
        for table, change in (("audit_event", "action = 'FORGED'"), ("audit_content", "query = 'forged'")):
            insertion = copying("INSERT", table, list(before[table][0]), {}).replace(
                "LIMIT 1", "WHERE log_index = 3"
            )
            with pytest.raises(sqlite3.IntegrityError, match=r"append-only|only be erased"):
                connection.execute(f"{insertion} ON CONFLICT DO UPDATE SET {change}")
    assert content_of(url) == before


async def test_a_place_that_retention_emptied_is_not_filled_again(filled, url):
    columns = list(content_of(url)["audit_event"][0])
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        connection.execute("INSERT INTO audit_tombstone VALUES (3, 3, x'ab', 1)")
        connection.execute("DELETE FROM audit_event WHERE log_index = 3")
        forged = {"log_index": "3", "id": "'forged'"}
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(copying("INSERT", "audit_event", columns, forged))
