"""parley settings and migrate, and what every command says of settings that are wrong."""

import json
import sqlite3

import pytest

SECRET = "s" * 32 + "-canary"


def test_settings_as_json_have_the_contracts_shape(parley, tmp_path):
    (tmp_path / "key").write_text(SECRET)
    (tmp_path / ".env").write_text("AGENT_MODEL=m1\n")
    said = parley(
        "settings", "--json", AGENT_PORT=1, AGENT_SECRET_KEY_FILE=tmp_path / "key", ANTHROPIC_API_KEY="canary"
    )
    rows = {row["name"]: row for row in json.loads(said.out)}
    assert said.status == 0
    assert {tuple(row) for row in rows.values()} == {("name", "value", "origin")}
    assert rows["AGENT_PORT"] == {"name": "AGENT_PORT", "value": "1", "origin": "env"}
    assert rows["AGENT_MODEL"]["origin"] == ".env"
    assert rows["AGENT_HOST"] == {"name": "AGENT_HOST", "value": "127.0.0.1", "origin": "default"}
    assert rows["AGENT_SECRET_KEY"] == {"name": "AGENT_SECRET_KEY", "value": "***", "origin": "file"}
    assert "canary" not in said.out


def test_settings_in_words_are_a_table(parley):
    said = parley("settings", ANTHROPIC_API_KEY="canary")
    lines = said.out.splitlines()
    assert lines[0].split() == ["NAME", "VALUE", "ORIGIN"]
    assert ["AGENT_PORT", "3005", "default"] in [line.split() for line in lines]
    assert "canary" not in said.out


COMMANDS = [("serve",), ("migrate",), ("settings",), ("keys", "list")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_wrong_setting_is_told_at_once_one_a_line(parley, tmp_path, command):
    said = parley(
        *command,
        AGENT_PORT="x",
        AGENT_RATE_LIMIT_REQUESTS="0",
        AGENT_SECRET_KEY="canary",
        AGENT_PROT="1",
        LOG_LEVEL="loud",
    )
    assert (said.status, said.out) == (2, "")
    lines = said.err.splitlines()
    assert all(line.startswith("parley: ") for line in lines)
    named = {line.removeprefix("parley: ").partition(":")[0] for line in lines}
    assert named == {"AGENT_PORT", "AGENT_RATE_LIMIT_REQUESTS", "AGENT_SECRET_KEY", "AGENT_PROT", "LOG_LEVEL"}
    assert "AGENT_PORT" in next(line for line in lines if "AGENT_PROT:" in line).partition(":")[2]
    assert "canary" not in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_production_names_what_it_lacks_and_makes_nothing(parley, tmp_path, command):
    said = parley(*command, AGENT_ENVIRONMENT="production")
    assert (said.status, said.out) == (2, "")
    assert "AGENT_SECRET_KEY" in said.err
    assert "ANTHROPIC_API_KEY" in said.err
    assert list(tmp_path.iterdir()) == []


def test_migrate_makes_the_database_and_may_be_run_again(parley, tmp_path):
    for _ in range(2):
        said = parley("migrate")
        assert (said.status, said.err) == (0, "")
    with sqlite3.connect(tmp_path / "var" / "parley.db") as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    database.close()
    assert "AuditEvent" in names


@pytest.mark.parametrize(
    "command", [("migrate",), ("keys", "list"), ("keys", "create", "--user=a", "--role=A")]
)
def test_a_database_that_cannot_be_is_one_sentence(parley, tmp_path, command):
    (tmp_path / "file").write_text("this is no database" * 100)
    (tmp_path / "folder").mkdir()
    for place in ("file", "folder", "file/below"):
        said = parley(*command, DATABASE_URL=f"sqlite:///{tmp_path}/{place}")
        assert (said.status, said.out) == (2, "")
        assert said.err.startswith("parley: ")
        assert len(said.err.splitlines()) == 1
        assert "Traceback" not in said.err
    assert (tmp_path / "file").read_text().startswith("this is no database")
