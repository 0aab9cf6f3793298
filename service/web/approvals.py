"""POST /api/v1/agent/turns/{turn id}/approvals/{call id}: a yes or a no; GET .../approvals: what waits.

Refuses whoever may not decide in the same words as where nothing waits, and every decision after the first.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter
from msgspec import Meta, Struct
from opentelemetry import trace

from service.agent.approval.approving import Verdict
from service.audit.deed import Doer
from service.auth.permissions import Action
from service.store.approvals import Key, Waiting
from service.web.bodies import MAX_BODY, read_body
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, read
from telemetry import names
from telemetry.person import user_of
from telemetry.record import ApprovalDecision, Caller
from telemetry.timestamp import timestamp

LIST = "/api/v1/agent/approvals"
ONE = "/api/v1/agent/turns/{turn_id:str}/approvals/{call_id:str}"

Id = Annotated[str, PathParameter(max_length=256)]


class Deciding(Protocol):
    """Where calls wait and are decided; see `service.agent.approval.approving.Approvers`."""

    async def open_to(self, caller: Caller) -> Sequence[Waiting]:
        """What a caller may decide now."""
        ...

    async def decide(self, key: Key, caller: Caller, verdict: Verdict, doer: Doer) -> Waiting:
        """Decide a call."""
        ...


class ApprovalBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody's word; the reason is kept with the audit's event, and told to no model."""

    decision: Literal["approve", "deny"]
    reason: Annotated[str, Meta(min_length=1, max_length=500)] | None = None


class Approval(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was decided; `id` is the call's, `name` the tool's."""

    turn_id: str
    id: str
    name: str
    decision: str
    decided_at: str


class Pending(Struct, frozen=True, kw_only=True, rename="camel"):
    """A call that waits: whose turn it is, and what would be run; null where that cannot be shown."""

    turn_id: str
    id: str
    name: str
    arguments: dict[str, Any] | None
    user_id: str
    asked_at: str
    expires_at: str


class PendingApprovals(Struct, frozen=True, kw_only=True):
    """The calls that wait for the caller, the most urgent first; at most 200."""

    approvals: tuple[Pending, ...]


def routes(deciding: Deciding, desk: Desk) -> list[HTTPRouteHandler]:
    """The two routes."""

    @get(LIST)
    async def listed(request: Asking) -> PendingApprovals:
        caller = await desk.admit(request, Action.CHAT)
        read(Nothing, request.scope["query_string"])
        return PendingApprovals(approvals=tuple(map(_told, await deciding.open_to(caller))))

    @post(ONE, status_code=200, request_max_body_size=MAX_BODY)
    async def decided(request: Asking, turn_id: Id, call_id: Id) -> Approval:
        caller = await desk.admit(request, Action.CHAT)
        read(Nothing, request.scope["query_string"])
        body, doer = await read_body(ApprovalBody, request), desk.doer(request, caller)
        verdict = Verdict(decision=ApprovalDecision(body.decision), reason=body.reason)
        trace.get_current_span().set_attribute(names.TURN_ID, turn_id.lower())
        waiting = await deciding.decide((turn_id.lower(), call_id), caller, verdict, doer)
        return _decided(waiting, body.decision, doer.at)

    return [listed, decided]


def _decided(waiting: Waiting, decision: str, at: int) -> Approval:
    return Approval(
        turn_id=waiting.turn_id,
        id=waiting.call_id,
        name=waiting.tool,
        decision=decision,
        decided_at=timestamp(at),
    )


def _told(waiting: Waiting) -> Pending:
    return Pending(
        turn_id=waiting.turn_id,
        id=waiting.call_id,
        name=waiting.tool,
        arguments=None if waiting.arguments is None else json.loads(waiting.arguments),
        user_id=user_of(waiting.user_id),
        asked_at=timestamp(waiting.asked_at),
        expires_at=timestamp(waiting.expires_at),
    )
