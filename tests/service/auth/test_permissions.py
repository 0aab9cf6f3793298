"""Who may do what, every role with every action, as the contract's section 4 has it."""

import itertools

import pytest

from service.auth.permissions import CONTENT_SCOPE, Action, may, require
from service.errors import Forbidden
from telemetry.record import Caller

WORDS = {
    "CFO": "chat own usage_all operations",
    "CXO_TEAM": "chat own usage_all operations",
    "AUDIT_HEAD": (
        "chat own usage_all operations audit audit_content export verify erase keys settings limits_all"
    ),
    "AUDITOR": "chat own audit export verify",
    "AUDITEE": "chat own",
    "GUEST": "chat own",
    "INTERN": "chat own",
    "AUDIT_HEAD_": "chat own",
    "audit_head": "chat own",
    "": "chat own",
}
"""The table once more, in the contract's own order and not out of the code."""

SCOPES = [(), (CONTENT_SCOPE,), ("audit:contents",), ("audit", "erase", "*"), ("x", CONTENT_SCOPE)]


def caller(role, scopes):
    return Caller(
        user_id="ann", role=role, method="test", credential_id="k", pseudonym="p", scopes=tuple(scopes)
    )


def expected(role, scopes, action):
    scoped = role == "AUDITOR" and CONTENT_SCOPE in scopes and action == "audit_content"
    return action in WORDS[role].split() or scoped


def test_these_are_all_the_actions():
    assert {action.value for action in Action} == set(WORDS["AUDIT_HEAD"].split())
    assert len(Action) == 12


@pytest.mark.parametrize(("role", "scopes"), list(itertools.product(WORDS, SCOPES)))
def test_each_role_may_what_the_contract_says_and_nothing_else(role, scopes):
    for action in Action:
        allowed = expected(role, scopes, action.value)
        assert may(caller(role, scopes), action) is allowed
        if allowed:
            require(caller(role, scopes), action)
        else:
            with pytest.raises(Forbidden, match=rf"\AYour role does not include {action.value}\.\Z"):
                require(caller(role, scopes), action)
