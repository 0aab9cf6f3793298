"""What the server lets the two roles do, asked of the server itself."""

import asyncio
from itertools import count

import pytest

from service.errors import DatabaseError
from service.seal.vault import Vault
from service.store.database import open_database
from service.store.keys import StoredKey
from service.store.postgres.roles import grant_roles, quoted
from tests.harness.postgres import PASSWORD, USER
from tests.harness.sql import ask
from tests.service.store.rows import Row, batch_of

NUMBERS = count(1)
AUDIT = (
    *("audit_event", "audit_content", "audit_event_tool", "audit_subject", "audit_tile", "audit_checkpoint"),
    *("audit_quarantine", "audit_tombstone", "audit_erased", "audit_hold", "audit_log"),
)
REFUSED = [
    *(
        f"UPDATE {table} SET {column} = {column}"  # noqa: S608 - our own names
        for table, column in zip(
            AUDIT,
            (
                *("action", "query", "tool", "user_id", "root", "note"),
                *("raw", "leaves", "erased_at", "reason", "log_id"),
            ),
            strict=True,
        )
    ),
    *(f"DELETE FROM {table}" for table in AUDIT),  # noqa: S608
    *(f"TRUNCATE {table}" for table in AUDIT),
    *(f"DROP TABLE {table} CASCADE" for table in AUDIT),
    *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in AUDIT),
    "ALTER TABLE audit_event ALTER COLUMN action DROP NOT NULL",
    "CREATE TRIGGER t BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION parley_refuse()",
    "DROP TRIGGER audit_event_unchanged ON audit_event",
    "CREATE RULE r AS ON INSERT TO audit_event DO INSTEAD NOTHING",
    "CREATE OR REPLACE FUNCTION parley_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    'CREATE OR REPLACE VIEW "AuditEvent" AS SELECT 1',
    'DROP VIEW "AuditEvent"',
    "CREATE TABLE public.mine (x INTEGER)",
    "SET session_replication_role = replica",
    "INSERT INTO audit_log (one, log_id) VALUES (1, 'x')",
    "UPDATE schema_migration SET checksum = ''",
    "DELETE FROM schema_migration",
    "INSERT INTO audit_event (id) SELECT id FROM audit_event ON CONFLICT (id) DO UPDATE SET action = 'x'",
    f'SET ROLE "{USER}"',
]


class Roles:
    """Two roles with odd names, and the database's URL as each of them."""

    def __init__(self, url):
        number = next(NUMBERS)
        self.names = [f'odd " ; {{}} {kind}{number}' for kind in ("app", "eraser")]
        for name in self.names:
            ask(url, f"CREATE ROLE {quoted(name)} LOGIN PASSWORD '{PASSWORD}'")
        self.app, self.eraser = (
            url.replace(f"{USER}:", f"odd%20%22%20%3B%20%7B%7D%20{kind}{number}:", 1)
            for kind in ("app", "eraser")
        )


async def filled(url):
    """A database with events, and its two roles."""
    database = await open_database(url)
    await database.audit.append(batch_of("event", 300))
    await database.close()
    made = Roles(url)
    await grant_roles(url, *made.names)
    return made


@pytest.fixture
async def roles(url):
    return await filled(url)


@pytest.fixture(scope="module")
def unchanged(postgres):
    """One database for all statements that change nothing: its URL, and its roles."""
    url = postgres.database()
    return url, asyncio.run(filled(url))


async def test_serving_works_as_the_role_for_it(url, roles):
    database = await open_database(roles.app, Vault(masters=(b"k" * 32,)))
    await database.audit.append(batch_of("more", 300))
    await database.audit.quarantine(
        Row(id="bad", actor_id=None, query=None), "why", b"raw"
    ) if False else None
    await database.keys.add(StoredKey(id="k", user_id="u", role="CFO", scopes=(), digest="ab", created_at=1))
    assert await database.keys.revoke("k", 5)
    await database.idempotency.claim("u", "key", body_digest="d", turn_id="t", now=1, until=9)
    await database.idempotency.keep("u", "key", turn_id="t", answer="{}", now=1, until=9)
    await database.idempotency.release("u", "key", "t")
    await database.conversations.hide("c", "u", 5, early=True)
    await database.sessions.revoke("s", 5, 1)
    event = await database.questions.event("more-0001")
    assert event.metadata["query"] == "How much did we spend?"
    await database.close()
    assert ask(url, "SELECT count(*) AS n FROM audit_event") == [{"n": 600}]


@pytest.mark.parametrize("statement", REFUSED)
def test_the_role_that_serves_changes_and_removes_nothing(unchanged, statement):
    url, roles = unchanged
    with pytest.raises(Exception, match=r"permission denied|must be owner"):
        ask(roles.app, statement)
    assert ask(url, "SELECT count(*) AS n, max(action) AS a FROM audit_event") == [{"n": 300, "a": "QUERY"}]


async def test_the_role_that_erases_takes_content_and_names(url, roles):
    eraser = f"{roles.eraser}?parley.tenant=*"  # behind the walls nobody is seen whom one does not ask for
    ask(eraser, "UPDATE audit_content SET query = NULL, sealed = NULL, salt = NULL, words = NULL")
    ask(eraser, "UPDATE audit_quarantine SET raw = NULL")
    ask(eraser, "DELETE FROM audit_subject")
    ask(eraser, r"INSERT INTO audit_tombstone VALUES (0, 9, '\xab', 1)")
    for table in ("audit_event", "audit_content", "audit_event_tool"):
        ask(eraser, f"DELETE FROM {table} WHERE log_index BETWEEN 0 AND 9")  # noqa: S608
    for table in ("conversation_turn", "conversation", "idempotency_claim", "api_key", "audit_hold"):
        ask(eraser, f"DELETE FROM {table}")  # noqa: S608
    database = await open_database(roles.eraser)
    await database.audit.append([Row(id="said", entity_type="AUDIT_ERASURE")])
    await database.close()
    found = ask(
        url,
        "SELECT count(*) AS n, count(query) AS texts FROM audit_event JOIN audit_content USING (log_index)",
    )
    assert found == [{"n": 291, "texts": 1}]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET action = 'FORGED'",
        "UPDATE audit_event SET metadata = metadata",
        "TRUNCATE audit_event",
        "UPDATE audit_content SET log_index = 5",
        "UPDATE audit_subject SET user_id = 'x'",
        "UPDATE audit_checkpoint SET note = ''",
        "DELETE FROM audit_checkpoint",
        "DELETE FROM audit_tile",
        "DELETE FROM audit_tombstone",
        "DELETE FROM audit_quarantine",
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
        "DROP TABLE audit_event CASCADE",
    ],
)
def test_the_role_that_erases_changes_no_event(unchanged, statement):
    _, roles = unchanged
    with pytest.raises(Exception, match=r"permission denied|must be owner"):
        ask(roles.eraser, statement)


def test_no_event_goes_without_its_tombstone(unchanged):
    _, roles = unchanged
    with pytest.raises(Exception, match="append-only"):
        ask(f"{roles.eraser}?parley.tenant=*", "DELETE FROM audit_event WHERE log_index = 5")


async def test_granted_again_the_rights_are_those_and_no_more(url, roles):
    ask(url, f"GRANT DELETE ON audit_content TO {quoted(roles.names[0])}")
    await grant_roles(url, *roles.names)
    with pytest.raises(Exception, match="permission denied"):
        ask(roles.app, "DELETE FROM audit_content")


@pytest.mark.parametrize("wrong", ["nobody", "", "x\0y", "n" * 100, USER])
async def test_a_role_that_is_none_or_may_do_all_is_refused(url, roles, wrong):
    with pytest.raises(DatabaseError):
        await grant_roles(url, wrong, None)
    with pytest.raises(DatabaseError, match="must be two"):
        await grant_roles(url, roles.names[0], roles.names[0])
    with pytest.raises(Exception, match="permission denied"):
        ask(roles.app, "DELETE FROM audit_content")


@pytest.mark.parametrize("more", ["pg_write_all_data", quoted(USER)])
async def test_a_role_that_may_change_events_by_another_way_is_refused(url, roles, more):
    ask(url, f"GRANT {more} TO {quoted(roles.names[0])}")
    with pytest.raises(DatabaseError, match="name a plain one"):
        await grant_roles(url, roles.names[0], None)


async def test_a_file_has_no_roles(tmp_path):
    with pytest.raises(DatabaseError, match="no roles"):
        await grant_roles(f"sqlite:///{tmp_path}/a.db", "app", None)
