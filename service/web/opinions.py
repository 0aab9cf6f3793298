"""A turn's audit event together with what its caller said of the turn.

Refuses the comment to whoever may not see content; what is joined is no part of what the log sealed.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from msgspec import structs

from service.auth.permissions import Action, may
from service.store.event import Event
from service.store.feedback import Feedback
from service.store.questions import TURN
from telemetry.record import Caller
from telemetry.timestamp import timestamp

Join = Callable[[Event, Caller], Awaitable[Event]]
"""An event as a caller may see it -> the same with what else is known of it; raises DatabaseError."""


class Opinions(Protocol):
    """What callers said of their turns."""

    async def find(self, turn_id: str) -> Feedback | None:
        """What was said of a turn; None for nothing, raises DatabaseError."""
        ...


def joining(opinions: Opinions) -> Join:
    """Joins what callers said to events of turns."""
    return partial(_joined, opinions)


async def unjoined(event: Event, caller: Caller) -> Event:
    """Join nothing: nobody is asked."""
    del caller
    return event


async def _joined(opinions: Opinions, event: Event, caller: Caller) -> Event:
    said = await opinions.find(event.entity_id) if event.entity_type == TURN else None
    if said is None:
        return event
    told: dict[str, Any] = {"rating": said.rating, "givenAt": timestamp(said.given_at)}
    if may(caller, Action.AUDIT_CONTENT):
        told["comment"] = said.comment
    return structs.replace(event, metadata={**event.metadata, "feedback": told})
