"""A look at the audit -> an audit row of its own: who read or exported what, by which filters.

Refuses to repeat what was read; the words somebody searched for are kept like a query, erasable.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from service.audit.row import AuditRow, canonical
from telemetry import ids
from telemetry.record import Caller
from telemetry.timestamp import timestamp

ENTITY = "AUDIT_ACCESS"


class Look(StrEnum):
    """What was done to the audit; the row's action."""

    READ = "READ"
    EXPORT = "EXPORT"


class Access(Struct, frozen=True, kw_only=True):
    """One look. `entity_id` is the event that was read, else the request; `caller` None is the command line.

    `request_id` and `trace_id` are those of the request; `at` is microseconds since 1970 (UTC).
    """

    look: Look
    route: str
    entity_id: str
    filters: Mapping[str, Any]
    caller: Caller | None
    request_id: str
    trace_id: str | None
    at: int
    searched: str | None = None
    system_user: str | None = None


def row_of(access: Access) -> AuditRow:
    """The row of a look."""
    caller = access.caller
    return AuditRow(
        id=ids.uuid7(),
        entity_type=ENTITY,
        entity_id=access.entity_id,
        action=access.look.value,
        actor_id=caller.person if caller else None,
        role=caller.role if caller else None,
        trace_id=access.trace_id,
        request_id=access.request_id,
        metadata=canonical(_metadata(access)),
        query=access.searched,
        created_at=access.at,
    )


def _metadata(access: Access) -> dict[str, Any]:
    caller = access.caller
    return {
        "route": access.route,
        "filters": access.filters,
        "searched": access.searched is not None,
        "role": caller.role if caller else None,
        "credentialId": caller.credential_id if caller else None,
        **({"tenant": caller.tenant} if caller and caller.tenant else {}),
        "systemUser": access.system_user,
        "traceId": access.trace_id,
        "requestId": access.request_id,
        "timestamp": timestamp(access.at),
        "count": 1,
    }
