"""What only SQLite is asked about the audit's tables."""

from tests.harness.sql import ask
from tests.service.store.rows import Row, batch_of

CONTRACT = (
    """SELECT * FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY' ORDER BY "createdAt" DESC LIMIT 10;"""
)


async def test_the_contracts_query_sorts_nothing(database, url):
    await database.audit.append(batch_of("event", 50))
    plan = " ".join(row["detail"] for row in ask(url, "EXPLAIN QUERY PLAN " + CONTRACT))
    assert "audit_event_entity_type" in plan
    assert "TEMP B-TREE" not in plan


async def test_the_table_and_the_view_are_two_things_though_names_have_no_case(database, url):
    await database.audit.append([Row(id="event-1")])
    assert "entity_type" in ask(url, "SELECT * FROM AUDIT_EVENT")[0]
    assert "entityType" in ask(url, "SELECT * FROM auditevent")[0]


async def test_json_is_read_by_sqlites_own_functions(database, url):
    await database.audit.append([Row(id="event-1")])
    (found,) = ask(url, """SELECT json_extract(metadata, '$.outcome') AS o FROM "AuditEvent" """)
    assert found == {"o": "answered"}


async def test_the_file_is_whole_after_many_batches(database, url):
    for number in range(10):
        await database.audit.append(batch_of(f"b{number}", 200))
    assert ask(url, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
