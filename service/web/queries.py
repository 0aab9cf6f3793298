"""One query's life, and a caller's own latest ones: what is kept of a turn, by whomever it is asked for.

Refuses what is not the caller's own to whoever may not audit, in the same words as what never was.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Protocol

from msgspec import Meta, Struct

from service.audit.access import Look
from service.auth.permissions import Action, may
from service.errors import NotFound
from service.store.event import Event
from service.store.feedback import Feedback
from service.store.filters import Filters
from service.store.opening import Opening
from service.store.questions import TURN, Questions
from service.store.tenancy import Tenanted
from service.store.text import storable
from service.web import retold
from service.web.cursor import Cursors
from service.web.desk import Glance, Note, look_of
from service.web.events import EventPage, question_of, written
from service.web.events import read as cursor_read
from service.web.masking import masked
from service.web.parameters import TraceId, Words
from service.web.proofs import Standing
from telemetry import names
from telemetry.record import Caller
from telemetry.timestamp import timestamp

MISSING = (
    "There is no query of that id, or it is not yours. One that ended just now is written down a moment "
    "later: load the page again then."
)
PAUSES = (0.05, 0.1, 0.2, 0.4)
"""Seconds between looks for a turn that is so young that its row may be on its way."""
YOUNG = 30_000
"""Milliseconds since it began."""

Stands = Callable[[Event], Awaitable[Standing | None]]
"""Event -> where it stands in the sealed log; None where it was removed meanwhile, raises DatabaseError."""


class Opinions(Protocol):
    """What callers said of their turns."""

    async def find(self, turn_id: str) -> Feedback | None:
        """What was said of a turn; None for nothing, raises DatabaseError."""
        ...


class OwnQuery(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which page of a caller's own turns is meant."""

    trace_id: TraceId | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 25
    cursor: Words | None = None


class Query(Struct, frozen=True, kw_only=True, rename="camel"):
    """One query's life. `event` is its audit event as the caller may see it; `own` whether it is theirs.

    `line` is the log line that told its end, `logged` whether it was written; `feedback` what its caller
    said of it. `standing` is None where the event was removed while it was looked at.
    """

    event: Event
    own: bool
    line: Mapping[str, Any]
    logged: bool
    feedback: Mapping[str, Any] | None
    standing: Standing | None


class Lines(Struct, frozen=True):
    """How lines are written: which share of completed ones, and whether with the query's beginning."""

    rate: float = 1.0
    query: bool = True


class Queries(Struct, frozen=True):
    """Tells of turns. `clock` gives microseconds since 1970 (UTC)."""

    questions: Tenanted[Questions]
    opening: Opening
    opinions: Opinions
    stands: Stands
    cursors: Cursors
    note: Note
    clock: Callable[[], int]
    lines: Lines = Lines()

    async def own(self, caller: Caller, asked: OwnQuery) -> EventPage:
        """A caller's own turns, the latest first, with their texts; raises InvalidRequest, DatabaseError."""
        filters = Filters(actor=caller.user_id, entity_type=TURN, trace_id=asked.trace_id)
        question = b"own " + question_of(filters, caller.tenant)
        after = cursor_read(self.cursors, asked.cursor, question)
        page = await self.questions.within(caller.tenant).events(filters, asked.limit, after)
        return EventPage(tuple(await self.opening.page(page.events)), written(self.cursors, page, question))

    async def traced(self, caller: Caller, trace_id: str) -> tuple[str, ...]:
        """The turns of a trace that the caller may see: none, one, or two of many; raises DatabaseError."""
        actor = None if may(caller, Action.AUDIT) else caller.user_id
        filters = Filters(actor=actor, entity_type=TURN, trace_id=trace_id)
        found = await self.questions.within(caller.tenant).events(filters, 2)
        return tuple(event.id for event in found.events)

    async def one(self, glance: Glance, turn_id: str) -> Query:
        """A query's life; a look at another's by somebody who may see content is recorded.

        Raises:
            NotFound: there is none, or the caller may not see it.
            DatabaseError: the database did not answer.
        """
        found = await self._found(glance.caller, turn_id.lower())
        own, reads = _own(found, glance.caller), may(glance.caller, Action.AUDIT_CONTENT)
        if reads and not own:
            self.note(look_of(glance, Look.READ, found.id, self.clock()))
        shown = await self.opening.one(found) if own or reads else masked(found)
        line = _line(shown, self.lines)
        return Query(
            event=shown,
            own=own,
            line=line,
            logged=line["type"] != names.COMPLETED or retold.sampled(shown, self.lines.rate),
            feedback=_said(await self.opinions.find(found.id), commented=own or reads),
            standing=await self.stands(found),
        )

    async def _found(self, caller: Caller, turn_id: str) -> Event:
        """The turn, waited for where it is young: for all ids alike, so that no wait tells whose it is."""
        for seconds in PAUSES if _young(turn_id) else ():
            if event := await self._visible(caller, turn_id):
                return event
            await asyncio.sleep(seconds)
        if event := await self._visible(caller, turn_id):
            return event
        raise NotFound(MISSING)

    async def _visible(self, caller: Caller, turn_id: str) -> Event | None:
        event = await self.questions.within(caller.tenant).event(turn_id)
        if event is None or event.entity_type != TURN:
            return None
        return event if _own(event, caller) or may(caller, Action.AUDIT) else None


def _own(event: Event, caller: Caller) -> bool:
    return event.actor_id is not None and event.actor_id == storable(caller.user_id)


def _young(turn_id: str) -> bool:
    """Whether a turn of this id (UUIDv7) began just now."""
    try:
        began = int(turn_id.replace("-", "")[:12], 16)
    except ValueError:
        return False
    return 0 <= time.time_ns() // 1_000_000 - began < YOUNG


def _line(event: Event, lines: Lines) -> Mapping[str, Any]:
    """The line; `query` only where lines have it and the event shows it."""
    told, state = dict(retold.line_of(event)), event.metadata.get("content")
    if "query" in told and not lines.query:
        del told["query"]
    elif "query" in told and state:
        told["query"] = f"({state})"
    return told


def _said(said: Feedback | None, *, commented: bool) -> Mapping[str, Any] | None:
    if said is None:
        return None
    told = {"rating": said.rating, "givenAt": timestamp(said.given_at)}
    return {**told, "comment": said.comment} if commented else told
