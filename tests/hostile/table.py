"""Who gets what at every route and page: the table that each try of the matrix is judged by, written by hand.

Refuses to be derived from the service: the permissions in it are the contract's once more (section 4).
"""

from msgspec import Struct

CFO, CXO, HEAD, AUDITOR, READER = "CFO", "CXO_TEAM", "AUDIT_HEAD", "AUDITOR", "AUDITOR audit:content"
OTHERS = ("AUDITEE", "GUEST", "INTERN")
ROLES = (CFO, CXO, HEAD, AUDITOR, READER, *OTHERS)
"""A role, and what its token's scope says."""

EVERYBODY = frozenset(ROLES)
AUDITORS = frozenset({HEAD, AUDITOR, READER})
CONTENT = frozenset({HEAD, READER})
SUMS = frozenset({CFO, CXO, HEAD})
HEADS = frozenset({HEAD})

EVENTS = (
    "listAuditEvents",
    "getAuditEvent",
    "proveAuditEvent",
    "exportAuditEvents",
    "GET /console/audit",
    "GET /console/audit/{event_id:str}",
    "GET /console/queries/{turn_id:str}",
)
SHOWN_TO_HEADS = (
    *("getLimitsOf", "resetLimitsOf", "eraseSubject"),
    *("listSessions", "endSessions", "listKeys", "makeKey", "rotateKey", "revokeKey"),
    *("GET /console/keys", "POST /console/keys", "GET /console/keys/{key_id:str}/revoke"),
    *("GET /console/sessions", "GET /console/sessions/end-all", "POST /console/sessions/end-all"),
    "POST /console/sessions/end",
)
NAMES = (
    dict.fromkeys(EVENTS, AUDITORS)
    | dict.fromkeys(SHOWN_TO_HEADS, HEADS)
    | dict.fromkeys(("getUsage", "getOperations", "GET /console/operations"), SUMS)
)
"""Who may be told another user's name, and where."""
TEXTS = dict.fromkeys(EVENTS, CONTENT)
"""Who may be told another user's words, and where."""
OWN_WORDS = {
    *("getConversation", "listConversations", "getFeedback"),
    *("GET /console/queries", "GET /console/queries/{turn_id:str}"),
}
"""Where each finds their own words: a matrix that found none anywhere would prove nothing."""


class Rule(Struct, frozen=True):
    """What a route answers to whom may, by whose the resource is; 403 to everybody else.

    `own`, `foreign` and `missing` are the statuses; `alone` has the roles that may at their own only, `over`
    those for whom another's is as their own.
    """

    roles: frozenset[str]
    own: frozenset[int]
    foreign: frozenset[int]
    missing: frozenset[int]
    alone: frozenset[str] = frozenset()
    over: frozenset[str] = frozenset()

    def answers(self, role: str, whose: str) -> frozenset[int]:
        """The statuses that are right."""
        if role in self.over and whose == "foreign":
            return self.own
        if role in self.roles or (role in self.alone and whose == "own"):
            return {"own": self.own, "foreign": self.foreign, "missing": self.missing}[whose]
        return frozenset({403})


def _rule(
    roles: frozenset[str],
    own: int,
    foreign: int | None = None,
    missing: int | None = None,
    *,
    also: int | None = None,
    alone: frozenset[str] = frozenset(),
    over: frozenset[str] = frozenset(),
) -> Rule:
    """The same for all where nothing else is said; `also` is right too, at any moment."""
    further = frozenset() if also is None else frozenset({also})
    statuses = [frozenset({own if each is None else each}) | further for each in (own, foreign, missing)]
    return Rule(roles, *statuses, alone=alone, over=over)


TABLE: dict[str, Rule] = {
    "chat": _rule(EVERYBODY, 200, 404),
    "resumeChat": _rule(EVERYBODY, 200, 404, 404),
    "listApprovals": _rule(EVERYBODY, 200),
    "decideApproval": _rule(EVERYBODY, 404),
    "giveFeedback": _rule(EVERYBODY, 200, 404, 404),
    "getFeedback": _rule(EVERYBODY, 200, 404, 404),
    "withdrawFeedback": _rule(EVERYBODY, 204, 404, 404),
    "countFeedback": _rule(SUMS, 200),
    "listConversations": _rule(EVERYBODY, 200),
    "getConversation": _rule(EVERYBODY, 200, 404, 404),
    "renameConversation": _rule(EVERYBODY, 200, 404, 404),
    "deleteConversation": _rule(EVERYBODY, 204, 404, 404),
    "listAuditEvents": _rule(AUDITORS, 200),
    "getAuditEvent": _rule(AUDITORS, 200, 200, 404),
    "proveAuditEvent": _rule(AUDITORS, 200, 200, 404, also=404),
    "exportAuditEvents": _rule(AUDITORS, 200),
    "verifyAudit": _rule(AUDITORS, 200, also=409),
    "getAuditKey": _rule(AUDITORS, 200),
    "eraseSubject": _rule(HEADS, 404),
    "listSessions": _rule(HEADS, 200, alone=EVERYBODY),
    "endSession": _rule(EVERYBODY, 204, 404, 404, over=HEADS),
    "endSessions": _rule(HEADS, 200, alone=EVERYBODY),
    "listKeys": _rule(HEADS, 200),
    "makeKey": _rule(HEADS, 201),
    "revokeKey": _rule(HEADS, 204, 204, 404),
    "rotateKey": _rule(HEADS, 201, 201, 404),
    "revokeTokens": _rule(HEADS, 200),
    "listSettings": _rule(HEADS, 200),
    "listRoles": _rule(HEADS, 200),
    "getUsage": _rule(EVERYBODY, 200),
    "getOperations": _rule(SUMS, 200),
    "getLimits": _rule(EVERYBODY, 200),
    "getLimitsOf": _rule(HEADS, 200, 200, 404, alone=EVERYBODY),
    "resetLimitsOf": _rule(HEADS, 200, 200, 404),
    "getLiveness": _rule(EVERYBODY, 200),
    "getReadiness": _rule(EVERYBODY, 200),
    "getSchema": _rule(EVERYBODY, 200),
}
"""By operation. A conversation that is not there is made; nothing waits for an approval here."""

PEOPLE: dict[str, Rule] = {
    "GET /": _rule(EVERYBODY, 303),
    "GET /schema": _rule(EVERYBODY, 200),
    "GET /console": _rule(EVERYBODY, 200),
    "GET /console/static/{digest:str}/{name:path}": _rule(EVERYBODY, 200),
    "GET /console/sign-in": _rule(EVERYBODY, 401),
    "POST /console/logout": _rule(EVERYBODY, 200),
    "GET /console/chat": _rule(EVERYBODY, 200),
    "GET /console/queries": _rule(EVERYBODY, 200),
    "GET /console/queries/{turn_id:str}": _rule(EVERYBODY, 200, 404, 404, over=AUDITORS),
    "GET /console/runbook": _rule(EVERYBODY, 200),
    "GET /console/operations": _rule(SUMS, 200),
    "GET /console/audit": _rule(AUDITORS, 200),
    "GET /console/audit/{event_id:str}": _rule(AUDITORS, 200, 200, 404),
    "GET /console/audit/verify": _rule(AUDITORS, 200),
    "POST /console/audit/verify": _rule(AUDITORS, 200, also=409),
    "GET /console/audit/erase": _rule(HEADS, 200),
    "POST /console/audit/erase": _rule(HEADS, 404),
    "GET /console/settings": _rule(HEADS, 200),
    "GET /console/keys": _rule(HEADS, 200),
    "POST /console/keys": _rule(HEADS, 201),
    "GET /console/keys/{key_id:str}/revoke": _rule(HEADS, 200, 200, 404),
    "POST /console/keys/{key_id:str}/revoke": _rule(HEADS, 303, 303, 404),
    "GET /console/sessions": _rule(HEADS, 200, alone=EVERYBODY),
    "POST /console/sessions/end": _rule(EVERYBODY, 303, 404, 404, over=HEADS),
    "GET /console/sessions/end-all": _rule(HEADS, 200, alone=EVERYBODY),
    "POST /console/sessions/end-all": _rule(HEADS, 200, 303, 303, alone=EVERYBODY),
}
"""By method and path of what people are shown; a code that is none signs in nobody."""

OPEN = {"getLiveness", "getReadiness", "getSchema"}
"""Operations that nobody needs a credential for; anything else is 401 without one."""
OPEN_PAGES = {"GET /", "GET /schema", "GET /console/static/{digest:str}/{name:path}"}
"""The same of what people are shown."""
