import pytest

from tests.harness.sql import ask


@pytest.fixture
def url(postgres):
    return postgres.database()


def test_migrating_gives_two_roles_their_rights(parley, url):
    ask(url, 'CREATE ROLE "cli app"')
    ask(url, "CREATE ROLE cli_eraser")
    said = parley("migrate", "--app-role", "cli app", "--eraser-role", "cli_eraser", DATABASE_URL=url)
    assert (said.status, said.out, said.err) == (0, "The database is up to date.\n", "")
    held = """SELECT string_agg(privilege_type, ' ' ORDER BY privilege_type) AS held
    FROM information_schema.role_table_grants WHERE grantee = $1 AND table_name = 'audit_event'"""
    assert ask(url, held, "cli app") == [{"held": "INSERT SELECT"}]
    assert ask(url, held, "cli_eraser") == [{"held": "DELETE INSERT SELECT"}]


def test_a_role_that_is_none_is_told(parley, url):
    said = parley("migrate", "--app-role", "nobody", DATABASE_URL=url)
    assert (said.status, said.err) == (2, "parley: The server has no role of that name.\n")


def test_a_file_has_no_roles(parley):
    said = parley("migrate", "--app-role", "x", DATABASE_URL="sqlite:///a.db")
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("parley: A SQLite database has no roles")
