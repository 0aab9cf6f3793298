"""parley keys: made, listed, revoked; the JSON shapes of the contract."""

import json
import re
import sqlite3
from types import SimpleNamespace

import pytest

from service.auth.keys import FORM, make_key
from service.cli import keys
from service.store.database import open_database

CREATE = ("keys", "create", "--user", "ann", "--role", "AUDITOR")
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def create(parley, *more):
    said = parley(*CREATE, "--json", *more)
    assert (said.status, said.err) == (0, "")
    return json.loads(said.out)


def listed(parley):
    return json.loads(parley("keys", "list", "--json").out)


def test_create_has_the_contracts_shape(parley):
    made = create(parley)
    assert list(made) == ["id", "key", "user", "role", "expiresAt"]
    assert (made["user"], made["role"], made["expiresAt"]) == ("ann", "AUDITOR", None)
    assert FORM.fullmatch(made["key"])["id"] == made["id"]


def test_a_key_of_a_tenant_is_listed_there(parley):
    made, other = create(parley, "--tenant", "acme"), create(parley)
    assert (made["user"], made["tenant"], "tenant" in other) == ("ann", "acme", False)
    assert [row.get("tenant") for row in listed(parley)] == ["acme", None]
    own = json.loads(parley("keys", "list", "--tenant", "acme", "--json").out)
    assert [row["id"] for row in own] == [made["id"]]
    assert "acme/ann" in parley("keys", "list").out
    assert parley(*CREATE, "--tenant", "a b").status == 2


def test_create_in_words_shows_the_key_once(parley):
    said = parley(*CREATE)
    key, words = said.out.splitlines()
    assert FORM.fullmatch(key)
    assert "Shown once" in words
    assert key not in parley("keys", "list").out + parley("keys", "list", "--json").out


def test_no_secret_is_kept(parley, tmp_path):
    made = create(parley)
    secret = made["key"].rpartition("_")[2].encode()
    kept = b"".join(path.read_bytes() for path in (tmp_path / "var").iterdir())
    assert made["id"].encode() in kept
    assert secret not in kept


def test_list_says_all_but_the_secret(parley):
    parley("migrate")
    assert listed(parley) == []
    assert parley("keys", "list").out == "no keys\n"
    first, second = create(parley, "--scope", "audit:content"), create(parley, "--expires", "90d")
    rows = listed(parley)
    assert [row["id"] for row in rows] == [first["id"], second["id"]]
    assert [row["scopes"] for row in rows] == [["audit:content"], []]
    assert {row["status"] for row in rows} == {"active"}
    assert TIME.fullmatch(rows[0]["createdAt"])
    assert rows[1]["expiresAt"] == second["expiresAt"]
    lines = parley("keys", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == [first["id"], second["id"]]


def test_revoke(parley):
    made = create(parley)
    done = parley("keys", "revoke", made["id"], "--json")
    assert (done.status, json.loads(done.out)) == (0, {"id": made["id"], "revoked": True})
    (row,) = listed(parley)
    assert row["status"] == "revoked"
    assert TIME.fullmatch(row["revokedAt"])
    again = parley("keys", "revoke", made["id"])
    assert again.status == 1
    assert "no such key, or revoked before" in again.out


@pytest.mark.parametrize("key_id", ["nope", "", "' OR 1=1 --", "x" * 10_000])
def test_revoking_what_is_none_is_a_no(parley, key_id):
    create(parley)
    done = parley("keys", "revoke", key_id, "--json")
    assert (done.status, json.loads(done.out)["revoked"]) == (1, False)
    assert listed(parley)[0]["status"] == "active"


def test_a_revocation_in_words_moves_no_cursor(parley):
    parley("migrate")
    said = parley("keys", "revoke", "\x1b[2J")
    assert (said.status, said.out) == (1, "\\u001b[2J: no such key, or revoked before\n")


UNITS = {"90d": 90 * 86_400, "12h": 12 * 3_600, "30m": 1_800, "99999d": 99_999 * 86_400}


@pytest.mark.parametrize(("span", "seconds"), UNITS.items())
def test_a_key_may_expire(parley, tmp_path, span, seconds):
    made = create(parley, "--expires", span)
    assert re.fullmatch(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made["expiresAt"])
    with sqlite3.connect(tmp_path / "var" / "parley.db") as database:
        ((created, expires),) = database.execute("SELECT created_at, expires_at FROM api_key").fetchall()
    database.close()
    assert expires - created == seconds * 1_000_000


@pytest.mark.parametrize(
    "span", ["", "0d", "90", "d", "-1d", "1.5d", "1w", "90D", "1d1h", "100000d", "\u0663d"]
)
def test_a_span_is_a_number_and_a_unit(parley, span):
    said = parley(*CREATE, f"--expires={span}")
    assert (said.status, said.out) == (2, "")
    assert "a number and d, h or m: 90d" in said.err


@pytest.mark.parametrize("user", ["", " ", "a b", "a\n", "a\x00", "\x7f", "x" * 129, "a\u2028b", "\udcff"])
def test_a_user_has_no_blanks(parley, user):
    said = parley("keys", "create", f"--user={user}", "--role=CFO")
    assert (said.status, said.out) == (2, "")
    assert "1 to 128 characters without blanks" in said.err


@pytest.mark.parametrize("user", ["ann", "ann@example.org", "Ä", "用户", "x" * 128, "-x"])
def test_a_user_may_be_any_word(parley, user):
    said = parley("keys", "create", f"--user={user}", "--role=CFO", "--json")
    assert (said.status, json.loads(said.out)["user"]) == (0, user)


@pytest.mark.parametrize(
    "role", ["", "cfo", "Cfo", "1A", "_A", "A B", "A-B", "A" * 33, "CFO\n", "Ä", "\u0391"]
)
def test_a_role_is_capitals(parley, role):
    said = parley("keys", "create", "--user=ann", f"--role={role}")
    assert (said.status, said.out) == (2, "")
    assert "capital letters" in said.err


@pytest.mark.parametrize("role", ["CFO", "A", "TEAM_7", "A" * 32])
def test_a_role_may_be_one_of_their_own(parley, role):
    assert json.loads(parley("keys", "create", "--user=ann", f"--role={role}", "--json").out)["role"] == role


def test_a_scope_is_one_that_exists(parley):
    assert parley(*CREATE, "--scope", "audit:all").status == 2


def test_expired_keys_are_listed_as_such(parley, tmp_path):
    create(parley, "--expires", "1m")
    with sqlite3.connect(tmp_path / "var" / "parley.db") as database:
        database.execute("UPDATE api_key SET expires_at = 1")
    database.close()
    assert listed(parley)[0]["status"] == "expired"


async def test_a_development_key_that_another_start_added_first_is_no_error(tmp_path):
    database = await open_database(f"sqlite:///{tmp_path}/parley.db")
    house, made = SimpleNamespace(database=database), make_key(b"p" * 32)
    await keys._add(house, made, "dev", "AUDITEE")
    await keys._add(house, made, "dev", "AUDITEE")
    assert [key.id for key in await database.keys.list()] == [made.id]
    await database.close()


def test_a_key_is_rotated_and_both_hold_for_a_while(parley):
    made = create(parley, "--scope", "audit:content")
    said = parley("keys", "rotate", made["id"], "--overlap", "1h", "--json")
    new = json.loads(said.out)
    assert (said.status, new["user"], new["role"], new["scopes"]) == (0, "ann", "AUDITOR", ["audit:content"])
    assert (new["replaces"], new["expiresAt"]) == (made["id"], None)
    old, fresh = listed(parley)
    assert (old["status"], fresh["status"], fresh["id"]) == ("active", "active", new["id"])
    assert old["expiresAt"] == new["replacedUntil"]
    assert FORM.fullmatch(new["key"])["id"] == new["id"]


def test_a_key_of_a_tenant_is_rotated_there(parley):
    made = create(parley, "--tenant", "acme")
    told = json.loads(parley("keys", "rotate", made["id"], "--json").out)
    assert told["user"] == "ann"
    rows = listed(parley)
    assert {(row["id"], row["user"], row["tenant"]) for row in rows} == {
        (key_id, "ann", "acme") for key_id in (made["id"], told["id"])
    }
    seen = json.loads(parley("audit", "list", "--entity-type", "API_KEY", "--json", "--tenant", "acme").out)
    assert [(row["action"], row["entityId"]) for row in seen["events"]] == [("ROTATED", told["id"])]


def test_a_successor_holds_as_long_as_its_key_was_made_for_and_lengthens_nothing(parley):
    made = create(parley, "--expires", "30m")
    new = json.loads(parley("keys", "rotate", made["id"], "--json").out)
    assert new["replacedUntil"] == made["expiresAt"]
    assert new["expiresAt"] >= made["expiresAt"]
    longer = json.loads(parley("keys", "rotate", new["id"], "--expires", "90d", "--json").out)
    assert longer["expiresAt"] > new["expiresAt"]


def test_what_holds_no_longer_is_not_rotated(parley):
    made = create(parley)
    parley("keys", "revoke", made["id"])
    for each in (made["id"], "0" * 16, "\x1b[2J"):
        said = parley("keys", "rotate", each)
        assert (said.status, "\x1b" in said.out) == (1, False)
    assert len(listed(parley)) == 1
    said = parley("keys", "rotate", made["id"], "--overlap", "soon")
    assert said.status == 2
