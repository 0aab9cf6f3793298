"""What somebody did to the audit itself -> an audit row: an erasure, a hold, a retention, a change of keys.

Refuses a person's name a place in the metadata: whom a deed is about is told by their random id.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from service.audit.row import AuditRow, canonical
from telemetry import ids
from telemetry.record import Caller
from telemetry.timestamp import timestamp


class Doer(Struct, frozen=True, kw_only=True):
    """Who does it, and when. `caller` None is the command line, under a user of the machine, or the service.

    `request_id` and `trace_id` are those of the request; `at` is microseconds since 1970 (UTC).
    """

    caller: Caller | None
    request_id: str
    trace_id: str | None
    at: int
    system_user: str | None = None
    tenant: str | None = None

    @property
    def within(self) -> str | None:
        """In which tenant it is done: the caller's own, or the one that a command was given."""
        return self.caller.tenant if self.caller else self.tenant


def row_of(doer: Doer, entity: str, action: str, about: str, facts: Mapping[str, Any]) -> AuditRow:
    """The row of a deed: `about` is whom or what it was done to, `facts` are its own metadata."""
    caller = doer.caller
    return AuditRow(
        id=ids.uuid7(),
        entity_type=entity,
        entity_id=about,
        action=action,
        actor_id=caller.person if caller else None,
        role=caller.role if caller else None,
        trace_id=doer.trace_id,
        request_id=doer.request_id,
        metadata=canonical({**_told(doer), **facts}),
        created_at=doer.at,
    )


def _told(doer: Doer) -> Mapping[str, Any]:
    caller, tenant = doer.caller, doer.within
    return {
        "role": caller.role if caller else None,
        "credentialId": caller.credential_id if caller else None,
        **({"tenant": tenant} if tenant else {}),
        "systemUser": doer.system_user,
        "traceId": doer.trace_id,
        "requestId": doer.request_id,
        "timestamp": timestamp(doer.at),
        "count": 1,
    }
