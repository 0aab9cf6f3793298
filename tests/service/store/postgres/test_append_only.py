"""PostgreSQL's own ways to change many rows at once."""

import pytest

from tests.harness.sql import ask
from tests.service.store.rows import batch_of
from tests.service.store.test_append_only import ROWS, TABLES, content_of, sql

UPSERTS = {
    "audit_event": ("(log_index)", "action = 'FORGED'"),
    "audit_content": ("(log_index)", "query = 'forged'"),
    "audit_tile": ("(level, number)", "root = excluded.root"),
    "audit_log": ("(one)", "log_id = 'forged'"),
    "audit_checkpoint": ("(size, created_at)", "note = 'forged'"),
    "audit_tombstone": ("(first)", "last = 0"),
    "audit_quarantine": ("(id)", "id = 'forged'"),
}


@pytest.fixture
async def filled(database, url):
    await database.audit.append(batch_of("event", 300))
    for statement in ROWS.values():
        ask(url, sql(url, statement))
    return url


@pytest.mark.parametrize("more", ["", " CASCADE", ", audit_subject RESTART IDENTITY CASCADE"])
@pytest.mark.parametrize("table", TABLES)
async def test_no_table_is_emptied(filled, table, more):
    before = content_of(filled)
    with pytest.raises(Exception, match="append-only"):
        ask(filled, f"TRUNCATE {table}{more}")
    assert content_of(filled) == before


@pytest.mark.parametrize("table", UPSERTS)
async def test_an_insertion_does_not_become_an_update(filled, table):
    before = content_of(filled)
    target, change = UPSERTS[table]
    # The tenant is made of the metadata, and by nobody else.
    columns = ", ".join(each for each in before[table][0] if each != "tenant")
    copied = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}"  # noqa: S608
    upsert = f"{copied} ON CONFLICT {target} DO UPDATE SET {change}"
    with pytest.raises(Exception, match="append-only"):
        ask(filled, upsert)
    assert content_of(filled) == before


async def test_a_merge_changes_nothing(filled):
    before = content_of(filled)
    for action in ("UPDATE SET action = 'FORGED'", "DELETE"):
        merge = f"MERGE INTO audit_event USING audit_log ON true WHEN MATCHED THEN {action}"
        with pytest.raises(Exception, match="append-only"):
            ask(filled, merge)
    assert content_of(filled) == before
