"""parley tokens revoke: by the rules of the route, with an event of the audit."""

import json

import pytest


def revoke(parley, *what):
    said = parley("tokens", "revoke", *what, "--json")
    assert (said.status, said.err) == (0, "")
    return json.loads(said.out)


def events(parley):
    rows = json.loads(parley("audit", "list", "--entity-type", "TOKEN", "--json").out)["events"]
    return [(row["action"], row["entityId"]) for row in rows]


def test_one_by_its_name(parley):
    parley("migrate")
    assert revoke(parley, "j-1")["token"] == "j-1"
    assert events(parley) == [("REVOKED", "j-1")]
    assert parley("tokens", "revoke", "\x1b[2J").out == "\\u001b[2J: revoked\n"


def test_all_of_a_user(parley):
    made = json.loads(parley("keys", "create", "--user", "ann", "--role", "CFO", "--json").out)
    assert revoke(parley, "--user", "ann", "--before", "2026-01-31")["keys"] == []
    told = revoke(parley, "--user", "ann", "--keys")
    assert (told["user"], told["keys"], told["sessions"]) == ("ann", [made["id"]], 0)
    (row,) = json.loads(parley("keys", "list", "--json").out)
    assert row["status"] == "revoked"
    found = events(parley)
    assert [action for action, _ in found] == ["REVOKED", "REVOKED"]
    assert "ann" not in repr(found)


def test_a_tenants_user_is_that_tenants(parley):
    keys = [
        json.loads(parley("keys", "create", "--user", "ann", "--role", "CFO", "--json", *tenant).out)["id"]
        for tenant in ([], ["--tenant", "acme"], ["--tenant", "bolt"])
    ]
    assert revoke(parley, "--user", "ann", "--keys", "--tenant", "acme")["keys"] == [keys[1]]
    assert revoke(parley, "j-1", "--tenant", "acme")["token"] == "j-1"
    assert revoke(parley, "--user", "ann", "--keys")["keys"] == [keys[0]]
    listed = json.loads(parley("audit", "list", "--entity-type", "TOKEN", "--json", "--tenant", "acme").out)
    assert {row["entityId"] for row in listed["events"]} > {"j-1"}
    assert len(listed["events"]) == 2


@pytest.mark.parametrize(
    "what", [(), ("a", "--user", "ann"), ("a", "--keys"), ("--user", "a b"), ("--user", "a", "--before", "x")]
)
def test_what_is_not_said_well_is_refused(parley, what):
    parley("migrate")
    said = parley("tokens", "revoke", *what)
    assert (said.status, said.out) == (2, "")
    assert events(parley) == []
