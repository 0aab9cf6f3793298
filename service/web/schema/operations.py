"""Every route that a program may call: what it takes, what it gives, and by which codes it refuses.

Refuses the pages for people (`/`, `/console/...`, `/schema`): their HTML is no promise.
"""

from typing import Any

from msgspec import Struct

from service.audit.verify import Report
from service.store.event import Event
from service.web import (
    approvals,
    conversations,
    erasures,
    feedback,
    health,
    house_rules,
    keys,
    limits,
    operations,
    rotation,
    sessions,
    tokens,
)
from service.web.ask import ChatBody
from service.web.checkpoints import KeyTold
from service.web.events import EventPage
from service.web.parameters import ExportQuery, Nothing, PageQuery, Period, UsageQuery
from service.web.proofs import SealedEvent
from service.web.reports import UsageReport
from service.web.schema.shapes import Answer
from telemetry.failure import Code

JSON = "application/json"


class Operation(Struct, frozen=True, kw_only=True):
    """One route. `path` parameters stand in it in braces; `media` are what a 200 may be, with their types.

    `gives` is the status of success; `refuses` the codes of its problems; `open` needs no caller.
    """

    id: str
    method: str
    path: str
    tag: str
    summary: str
    description: str = ""
    query: type[Struct] = Nothing
    body: type[Struct] | None = None
    gives: int = 200
    media: dict[str, Any] = {}
    refuses: tuple[Code, ...] = ()
    open: bool = False


KNOWN = (
    Code.UNAUTHENTICATED,
    Code.CROSS_SITE,
    Code.INVALID_REQUEST,
    Code.RATE_LIMITED,
    Code.DATABASE_ERROR,
    Code.UPSTREAM_UNREACHABLE,
    Code.INTERNAL,
)
"""What every route with a caller may refuse by; the keys of a tokens' issuer may be out of reach."""

CHAT = (
    *KNOWN,
    Code.FORBIDDEN,
    Code.NOT_FOUND,
    Code.REQUEST_TIMEOUT,
    Code.CONFLICT,
    Code.TOO_LARGE,
    Code.UNSUPPORTED_MEDIA_TYPE,
    Code.IDEMPOTENCY_MISMATCH,
    Code.TOKENS_LIMITED,
    Code.CONCURRENCY_LIMITED,
    Code.OVER_BUDGET,
    Code.BUDGET_UNAVAILABLE,
    Code.OVERLOADED,
    Code.AUDIT_UNWRITABLE,
    Code.SHUTTING_DOWN,
    Code.UPSTREAM_RATE_LIMITED,
    Code.UPSTREAM_ERROR,
    Code.UPSTREAM_OVERLOADED,
    Code.UPSTREAM_TIMEOUT,
    Code.TURN_TIMEOUT,
)

STREAMED = (
    Code.UPSTREAM_RATE_LIMITED,
    Code.UPSTREAM_ERROR,
    Code.UPSTREAM_OVERLOADED,
    Code.UPSTREAM_TIMEOUT,
    Code.TURN_TIMEOUT,
    Code.SHUTTING_DOWN,
)
"""How a turn may end whose stream has not begun when somebody comes to hear it."""

ERASING = (
    *KNOWN,
    Code.FORBIDDEN,
    Code.NOT_FOUND,
    Code.CONFLICT,
    Code.TOO_LARGE,
    Code.UNSUPPORTED_MEDIA_TYPE,
)

WRITING = ERASING
"""How a small body is refused, whatever it is for."""

FEEDBACK = "/api/v1/agent/turns/{turnId}/feedback"

CHATTING = """\
One turn with the agent. With `stream: true`, or an Accept header that names `text/event-stream` where the
body does not say, the answer comes as server-sent events, unless the operator has switched streaming off:
`turn` first, `text`, `tool` and, asked for by `thinking`, `thinking` as they happen, and exactly one of
`done` or `error` last, each with a running `id` from 1 and a comment for every 15 s of silence. A failure
before the model's first content is a problem with its own status, after it an `error` event. Unknown fields
are refused by name. An `Idempotency-Key` of 1 to 255 printable characters makes a repetition safe for 24
hours: the same key and body give the same answer again, at no cost. With a `responseFormat` the text is JSON
by its schema and `structured` is its value; an answer that does not fit is an `upstream_error`. `attachments`
are images and PDFs that the model is shown with this message, not again with later ones. A `model` that is
not for the caller's role is `forbidden`."""

RESUMING = """\
For the caller of the turn only; whatever else it is, it is not found. Where the operator has set a time for
which lost streams go on (`AGENT_STREAM_RESUME_MS`; none unless set), the stream goes on after the event whose
id `Last-Event-ID` has, or from its first event: the same ids, the same events, none twice and none left out.
Several may listen. It is kept for that time after it was left or has ended, up to 1 MiB, in the process that
began it; 404 where the next event is not kept any more, 204 where the terminal event was heard already."""

APPROVING = """\
For the caller of the turn; where the tool names roles that have to approve of it, for whoever of the
caller's tenant is in one of them, and for nobody else. Whatever it is to others, it is not found. Decided
once: 409 says what was decided, and `expired` where nobody did in time. The reason is kept with the
audit's event, as queries are."""

SAYING = """\
For the caller of the turn only; whatever else it is, it is not found. Said again, it stands in place of what
was said before. The audit has each time an event of its own, with a commitment to the comment."""

WATCHING = """\
For CFO, CXO_TEAM and AUDIT_HEAD. One snapshot for all of a tenant who ask within seconds: its turns as the
audit's log has them, so of all processes and replicas, and how the process that answers stands. With the
`ETag` of an answer as `If-None-Match` it is 304 while nothing has changed."""

EXPORTING = """\
For AUDIT_HEAD and AUDITOR. All events that are meant and were sealed when the export began, newest first.
Each has a `seal`, by which `parley audit verify FILE` checks it with the public key alone; the first line's
has the checkpoint. A file that is not whole says so in its last line."""

VERIFYING = """\
For AUDIT_HEAD and AUDITOR. Every event, link, text and checkpoint of all tenants, by this installation's
own key; takes as long as the log is, and the verdict stands for ten seconds. Who suspects this
installation itself verifies by a key and a checkpoint kept elsewhere (`parley audit verify`), without
which `freshness` is `unproven`."""

KEY = """\
For AUDIT_HEAD and AUDITOR. Keep it, and a checkpoint, where nobody of this service can write."""

SIGNED_IN = """\
One's own; with `user` those of somebody else, for AUDIT_HEAD. What began by a token of another issuer is not
among them."""

LOGGED_OUT = """\
Logout everywhere: none of them is let in again, here at once, by other processes from their next request on.
One's own; with `user` those of somebody else, for AUDIT_HEAD. Recorded in the audit."""

REVOKING = """\
For AUDIT_HEAD. Nobody is let in by it again, in any process, from the next request on; whoever issues tokens
goes on issuing them. Recorded in the audit."""

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        id="chat",
        method="post",
        path="/api/v1/agent/chat",
        tag="chat",
        summary="Ask the agent one question",
        description=CHATTING,
        body=ChatBody,
        media={JSON: Answer, "text/event-stream": str},
        refuses=CHAT,
    ),
    Operation(
        id="resumeChat",
        method="get",
        path="/api/v1/agent/chat/{turnId}/events",
        tag="chat",
        summary="Go on with a stream that was lost",
        description=RESUMING,
        media={"text/event-stream": str},
        refuses=(*KNOWN, Code.NOT_FOUND, *STREAMED),
    ),
    Operation(
        id="listApprovals",
        method="get",
        path=approvals.LIST,
        tag="approvals",
        summary="List the tool calls that wait for one's approval, the most urgent first",
        media={JSON: approvals.PendingApprovals},
        refuses=KNOWN,
    ),
    Operation(
        id="decideApproval",
        method="post",
        path="/api/v1/agent/turns/{turnId}/approvals/{callId}",
        tag="approvals",
        summary="Approve or deny a tool call that waits for it",
        description=APPROVING,
        body=approvals.ApprovalBody,
        media={JSON: approvals.Approval},
        refuses=WRITING,
    ),
    Operation(
        id="giveFeedback",
        method="put",
        path=FEEDBACK,
        tag="feedback",
        summary="Rate one of one's own turns, with a comment or without",
        description=SAYING,
        body=feedback.FeedbackBody,
        media={JSON: feedback.FeedbackTold},
        refuses=tuple(code for code in WRITING if code not in {Code.CONFLICT, Code.FORBIDDEN}),
    ),
    Operation(
        id="getFeedback",
        method="get",
        path=FEEDBACK,
        tag="feedback",
        summary="Read what one said of a turn",
        media={JSON: feedback.FeedbackTold},
        refuses=(*KNOWN, Code.NOT_FOUND),
    ),
    Operation(
        id="withdrawFeedback",
        method="delete",
        path=FEEDBACK,
        tag="feedback",
        summary="Take back what one said of a turn",
        gives=204,
        refuses=(*KNOWN, Code.NOT_FOUND),
    ),
    Operation(
        id="countFeedback",
        method="get",
        path=feedback.COUNTS,
        tag="feedback",
        summary="Count ratings by model",
        description="For CFO, CXO_TEAM and AUDIT_HEAD.",
        query=Period,
        media={JSON: feedback.FeedbackReport},
        refuses=(*KNOWN, Code.FORBIDDEN),
    ),
    Operation(
        id="listConversations",
        method="get",
        path="/api/v1/conversations",
        tag="conversations",
        summary="List one's own conversations, latest first",
        query=conversations.PageQuery,
        media={JSON: conversations.Page},
        refuses=KNOWN,
    ),
    Operation(
        id="getConversation",
        method="get",
        path="/api/v1/conversations/{conversationId}",
        tag="conversations",
        summary="Read one of one's own conversations",
        description="Somebody else's is not found.",
        media={JSON: conversations.Conversation},
        refuses=(*KNOWN, Code.NOT_FOUND),
    ),
    Operation(
        id="renameConversation",
        method="patch",
        path="/api/v1/conversations/{conversationId}",
        tag="conversations",
        summary="Give one of one's own conversations another title",
        description="Turns do not change it back. Somebody else's is not found.",
        body=conversations.Change,
        media={JSON: conversations.Summary},
        refuses=(*KNOWN, Code.NOT_FOUND, Code.TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE),
    ),
    Operation(
        id="deleteConversation",
        method="delete",
        path="/api/v1/conversations/{conversationId}",
        tag="conversations",
        summary="Hide one of one's own conversations and drop its history",
        description="What the audit holds of it stays.",
        gives=204,
        refuses=(*KNOWN, Code.NOT_FOUND),
    ),
    Operation(
        id="listAuditEvents",
        method="get",
        path="/api/v1/audit/events",
        tag="audit",
        summary="List audit events, newest first",
        description="For AUDIT_HEAD and AUDITOR; the query is masked without the permission to see content.",
        query=PageQuery,
        media={JSON: EventPage},
        refuses=(*KNOWN, Code.FORBIDDEN),
    ),
    Operation(
        id="getAuditEvent",
        method="get",
        path="/api/v1/audit/events/{eventId}",
        tag="audit",
        summary="Read one audit event",
        description="For AUDIT_HEAD and AUDITOR.",
        media={JSON: Event},
        refuses=(*KNOWN, Code.FORBIDDEN, Code.NOT_FOUND),
    ),
    Operation(
        id="proveAuditEvent",
        method="get",
        path="/api/v1/audit/events/{eventId}/proof",
        tag="audit",
        summary="Read one audit event with what proves it",
        description="For AUDIT_HEAD and AUDITOR. `parley audit verify FILE` checks it without this service.",
        media={JSON: SealedEvent},
        refuses=(*KNOWN, Code.FORBIDDEN, Code.NOT_FOUND),
    ),
    Operation(
        id="exportAuditEvents",
        method="get",
        path="/api/v1/audit/export",
        tag="audit",
        summary="Export audit events as JSON Lines or CSV",
        description=EXPORTING,
        query=ExportQuery,
        media={"application/x-ndjson": str, "text/csv": str},
        refuses=(*KNOWN, Code.FORBIDDEN),
    ),
    Operation(
        id="verifyAudit",
        method="get",
        path="/api/v1/audit/verify",
        tag="audit",
        summary="Verify the whole audit log as it lies in the database",
        description=VERIFYING,
        media={JSON: Report},
        refuses=(*KNOWN, Code.FORBIDDEN, Code.CONFLICT),
    ),
    Operation(
        id="getAuditKey",
        method="get",
        path="/api/v1/audit/key",
        tag="audit",
        summary="Give the public key of the log's checkpoints",
        description=KEY,
        media={JSON: KeyTold},
        refuses=(*KNOWN, Code.FORBIDDEN),
    ),
    Operation(
        id="eraseSubject",
        method="post",
        path=erasures.PATH,
        tag="audit",
        summary="Forget a person: name, texts, conversations, kept answers and API keys",
        description="For AUDIT_HEAD. Events, sums and hashes stay. 409 where the person is under legal hold.",
        body=erasures.Erasure,
        media={JSON: erasures.ErasureReport},
        refuses=ERASING,
    ),
    Operation(
        id="listSessions",
        method="get",
        path=sessions.ALL,
        tag="sessions",
        summary="List sessions of the console that go on, the latest first",
        description=SIGNED_IN,
        query=sessions.SessionQuery,
        media={JSON: sessions.SessionList},
        refuses=(*KNOWN, Code.FORBIDDEN),
    ),
    Operation(
        id="endSession",
        method="delete",
        path="/api/v1/sessions/{sessionId}",
        tag="sessions",
        summary="End one session",
        description="One's own, and others' for AUDIT_HEAD; whatever else it is, it is not found.",
        gives=204,
        refuses=(*KNOWN, Code.NOT_FOUND),
    ),
    Operation(
        id="endSessions",
        method="delete",
        path=sessions.ALL,
        tag="sessions",
        summary="End all sessions of a user",
        description=LOGGED_OUT,
        query=sessions.SessionQuery,
        media={JSON: sessions.SessionsEnded},
        refuses=(*KNOWN, Code.FORBIDDEN),
    ),
    Operation(
        id="listKeys",
        method="get",
        path=keys.ALL,
        tag="keys",
        summary="List API keys, the oldest first, never their text",
        description="For AUDIT_HEAD.",
        media={JSON: keys.KeyList},
        refuses=(*KNOWN, Code.FORBIDDEN),
    ),
    Operation(
        id="makeKey",
        method="post",
        path=keys.ALL,
        tag="keys",
        summary="Make an API key; its text is in this answer and nowhere else",
        description="For AUDIT_HEAD; recorded in the audit.",
        body=keys.KeyBody,
        gives=201,
        media={JSON: keys.KeyMade},
        refuses=(*KNOWN, Code.FORBIDDEN, Code.TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE),
    ),
    Operation(
        id="rotateKey",
        method="post",
        path="/api/v1/keys/{keyId}/rotate",
        tag="keys",
        summary="Make an API key in another's place, which holds on for a while",
        description="For AUDIT_HEAD; both hold meanwhile. Recorded in the audit.",
        body=rotation.RotationBody,
        gives=201,
        media={JSON: rotation.KeyRotated},
        refuses=(*KNOWN, Code.FORBIDDEN, Code.NOT_FOUND, Code.TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE),
    ),
    Operation(
        id="revokeTokens",
        method="post",
        path=tokens.PATH,
        tag="keys",
        summary="Make a session, token or key hold no longer, or all of a user's",
        description=REVOKING,
        body=tokens.RevocationBody,
        media={JSON: tokens.Revoked},
        refuses=(*KNOWN, Code.FORBIDDEN, Code.TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE),
    ),
    Operation(
        id="revokeKey",
        method="delete",
        path="/api/v1/keys/{keyId}",
        tag="keys",
        summary="Make an API key hold no longer",
        description="For AUDIT_HEAD; recorded in the audit.",
        gives=204,
        refuses=(*KNOWN, Code.FORBIDDEN, Code.NOT_FOUND),
    ),
    Operation(
        id="listSettings",
        method="get",
        path=house_rules.SETTINGS,
        tag="settings",
        summary="List settings as they hold now, and where each comes from",
        description="For AUDIT_HEAD. A secret is its mask.",
        media={JSON: house_rules.SettingList},
        refuses=(*KNOWN, Code.FORBIDDEN),
    ),
    Operation(
        id="listRoles",
        method="get",
        path=house_rules.ROLES,
        tag="settings",
        summary="List roles, what each may do and how often",
        description="For AUDIT_HEAD. The role `*` stands for any that has no line of its own.",
        media={JSON: house_rules.RoleTable},
        refuses=(*KNOWN, Code.FORBIDDEN),
    ),
    Operation(
        id="getUsage",
        method="get",
        path="/api/v1/usage",
        tag="usage",
        summary="Add up turns, tokens and cost",
        description="Of all for CFO, CXO_TEAM and AUDIT_HEAD; one's own for everybody else.",
        query=UsageQuery,
        media={JSON: UsageReport},
        refuses=KNOWN,
    ),
    Operation(
        id="getOperations",
        method="get",
        path=operations.PATH,
        tag="operations",
        summary="Tell how the house stands, and what the last minutes or days were like",
        description=WATCHING,
        query=operations.OperationsQuery,
        media={JSON: operations.OperationsReport},
        refuses=(*KNOWN, Code.FORBIDDEN),
    ),
    Operation(
        id="getLimits",
        method="get",
        path="/api/v1/limits",
        tag="limits",
        summary="Say how one stands with the limits; costs nothing",
        media={JSON: limits.Standing},
        refuses=(*KNOWN, Code.BUDGET_UNAVAILABLE),
    ),
    Operation(
        id="getLimitsOf",
        method="get",
        path="/api/v1/limits/{subject}",
        tag="limits",
        summary="Say how a user stands with the limits",
        description="One's own for everybody, others' for AUDIT_HEAD.",
        media={JSON: limits.Standing},
        refuses=(*KNOWN, Code.FORBIDDEN, Code.NOT_FOUND, Code.BUDGET_UNAVAILABLE),
    ),
    Operation(
        id="resetLimitsOf",
        method="delete",
        path="/api/v1/limits/{subject}",
        tag="limits",
        summary="Forget what was counted for a user",
        description="For AUDIT_HEAD; recorded in the audit. Money that is spent stays spent.",
        media={JSON: limits.Standing},
        refuses=(*KNOWN, Code.FORBIDDEN, Code.NOT_FOUND),
    ),
    Operation(
        id="getLiveness",
        method="get",
        path="/health/live",
        tag="health",
        summary="Say that the process lives; touches nothing",
        media={JSON: health.Liveness},
        open=True,
    ),
    Operation(
        id="getReadiness",
        method="get",
        path="/health/ready",
        tag="health",
        summary="Say how each dependency is",
        description="503 only where it is not ready; a dependency that is away is `degraded` with 200.",
        media={JSON: health.Readiness},
        open=True,
    ),
    Operation(
        id="getSchema",
        method="get",
        path="/schema/openapi.json",
        tag="schema",
        summary="This document",
        media={JSON: dict[str, Any]},
        open=True,
    ),
)

WORDS = {
    "turnId": "The id of a turn, which `X-Request-Id` and the event `turn` have.",
    "callId": "The id of a tool call, which the events `tool` and `approval` have.",
    "conversationId": "The id of a conversation, a UUID.",
    "eventId": "The id of an audit event.",
    "sessionId": "The id of a session.",
    "keyId": "The id of an API key, which stands in its text too.",
    "user": "Whose; one's own where it is not given.",
    "subject": "A user's name; a slash in it is percent-encoded.",
    "limit": "At most so many on one page.",
    "cursor": "Goes on after a page: its `nextCursor`, with the same other parameters.",
    "from": "A date or a time of ISO 8601, UTC unless it says otherwise; belongs to the span.",
    "to": "The same; does not belong to the span.",
    "actor": "Whose events.",
    "outcome": "How the turn ended.",
    "category": "The category of what went wrong.",
    "code": "The precise word for what went wrong.",
    "tool": "A tool that was called.",
    "model": "The model that was asked.",
    "role": "The role of the caller.",
    "traceId": "The trace, 32 hexadecimal characters.",
    "entityType": "`AGENT_QUERY` (turns, where it is not given), another kind of event, or `all`.",
    "q": "Words of the query, where that is kept in clear; needs the permission to see content.",
    "format": "The form of the file.",
    "period": "How far back the numbers go.",
    "groupBy": "What is added up by.",
}
"""What each parameter means, wherever it stands."""
