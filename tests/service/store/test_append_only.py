"""What is in the audit's tables stays as it is, whoever asks; only content can be erased."""

import pytest

from service.errors import DatabaseError
from tests.harness.sql import ask
from tests.service.store.rows import batch_of

SIZE = 300
"""More than a tile."""

ROWS = {
    "audit_checkpoint": "INSERT INTO audit_checkpoint (size, created_at, note) VALUES (300, 5, 'note')",
    "audit_tombstone": (
        "INSERT INTO audit_tombstone (first, last, leaves, removed_at) VALUES (900, 901, {blob}, 5)"
    ),
    "audit_quarantine": (
        "INSERT INTO audit_quarantine (id, subject_id, writer, writer_seq, reason, raw, created_at)"
        " VALUES ('q', 's', 'w', 1, 'why', {blob}, 5)"
    ),
}
TABLES = ("audit_event", "audit_content", "audit_tile", "audit_log", *ROWS)
CHANGED = {
    "audit_event": ("action = 'FORGED'", "role = NULL", "created_at = created_at", "id = id || 'x'"),
    "audit_content": (
        "query = 'forged'",
        "query = query",
        "salt = NULL",
        "subject_id = NULL",
        "log_index = log_index + 1000",
        "query = NULL, salt = {blob}",
    ),
    "audit_tile": ("root = {blob}",),
    "audit_log": ("log_id = 'forged'",),
    "audit_checkpoint": ("note = 'forged'", "size = 1"),
    "audit_tombstone": ("last = 0", "first = 0"),
    "audit_quarantine": ("id = 'other'",),
}
STATEMENTS = [
    *(f"UPDATE {table} SET {change}" for table, changes in CHANGED.items() for change in changes),  # noqa: S608
    *(f"DELETE FROM {table}" for table in TABLES),  # noqa: S608
]


def sql(url, text):
    return text.replace("{blob}", "x'abab'" if url.startswith("sqlite") else r"'\xabab'::bytea")


def content_of(url):
    """All rows of the tables, in no order but by their first two columns."""
    return {table: ask(url, f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}  # noqa: S608


@pytest.fixture
async def filled(database, url):
    await database.audit.append(batch_of("event", SIZE))
    for statement in ROWS.values():
        ask(url, sql(url, statement))
    assert all(content_of(url).values())
    return url


def refused(url, statement):
    before = content_of(url)
    with pytest.raises(Exception, match=r"append-only|only be erased"):
        ask(url, sql(url, statement))
    assert content_of(url) == before


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_nothing_is_changed_or_deleted(filled, statement):
    refused(filled, statement)


async def test_content_is_erased_and_stays_so(filled):
    words = "" if filled.startswith("sqlite") else ", words = NULL"
    ask(filled, f"UPDATE audit_content SET query = NULL, salt = NULL{words} WHERE log_index = 7")  # noqa: S608
    ask(filled, "UPDATE audit_quarantine SET raw = NULL")
    refused(filled, "UPDATE audit_content SET query = 'again' WHERE log_index = 7")
    refused(filled, "UPDATE audit_quarantine SET raw = {blob}")


async def test_rows_go_only_where_a_tombstone_stands_for_them(filled):
    ask(
        filled,
        sql(
            filled,
            "INSERT INTO audit_tombstone (first, last, leaves, removed_at) VALUES (3, 4, {blob}, 5)",
        ),
    )
    refused(filled, "DELETE FROM audit_event WHERE log_index BETWEEN 3 AND 5")
    ask(filled, "DELETE FROM audit_event WHERE log_index BETWEEN 3 AND 4")
    ask(filled, "DELETE FROM audit_content WHERE log_index BETWEEN 3 AND 4")
    refused(filled, "DELETE FROM audit_content WHERE log_index = 5")


async def test_appending_the_same_rows_again_changes_nothing(database, filled):
    before = content_of(filled)
    assert await database.audit.append(batch_of("event", SIZE)) == frozenset()
    assert content_of(filled) == before


SKIPPING = {
    "sqlite": [
        """CREATE TRIGGER skips BEFORE INSERT ON audit_event WHEN NEW.id = 'more-0002'
        BEGIN SELECT RAISE(IGNORE); END"""
    ],
    "postgresql": [
        """CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$""",
        """CREATE TRIGGER skips BEFORE INSERT ON audit_event FOR EACH ROW WHEN (NEW.id = 'more-0002')
        EXECUTE FUNCTION skip()""",
    ],
}


async def test_a_row_that_the_database_skips_in_silence_is_not_taken_for_written(database, filled):
    for statement in SKIPPING[filled.split(":")[0]]:
        ask(filled, statement)
    before = content_of(filled)
    with pytest.raises(DatabaseError, match="did not take every row"):
        await database.audit.append(batch_of("more", 5))
    assert content_of(filled) == before
