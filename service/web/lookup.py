"""One audit event, whoever asks for it: as it is, with its proof, or with what became of the proof here.

Refuses content to callers who may not see it, and to look unseen: a row says who did.
"""

from collections.abc import Callable

from msgspec import Struct

from service.audit.access import Look
from service.auth.permissions import Action, may, require
from service.errors import NotFound
from service.store.event import Event
from service.store.opening import Opening
from service.store.questions import Questions
from service.store.tenancy import Tenanted
from service.web.desk import Glance, Note, look_of
from service.web.masking import masked
from service.web.opinions import Join
from service.web.proofs import Prover, SealedEvent, Standing
from service.web.search import as_allowed

MISSING = "There is no audit event of that id."


class Lookup(Struct, frozen=True):
    """Looks events up; every method raises Forbidden, NotFound and DatabaseError, and then shows nothing.

    `clock` gives microseconds since 1970 (UTC).
    """

    questions: Tenanted[Questions]
    prover: Prover
    opening: Opening
    join: Join
    note: Note
    clock: Callable[[], int]

    async def event(self, glance: Glance, event_id: str) -> Event:
        """One event; a look of somebody who may see content is recorded."""
        found = await self._found(glance, event_id)
        if may(glance.caller, Action.AUDIT_CONTENT):
            self._noted(glance, found)
        return await self._told(glance, found)

    async def proof(self, glance: Glance, event_id: str) -> SealedEvent:
        """One event with what proves it; taking it along is recorded, whoever does."""
        found = await self._found(glance, event_id)
        proven = await self.prover.prove(found, salted=may(glance.caller, Action.AUDIT_CONTENT))
        if proven is None:
            raise NotFound(MISSING)
        self._noted(glance, found)
        (told,) = await as_allowed([proven], glance.caller, self.opening)
        return told

    async def standing(self, glance: Glance, event_id: str) -> tuple[Event, Standing]:
        """One event, and whether its proof holds; recorded as the event itself is."""
        found = await self._found(glance, event_id)
        standing = await self.prover.standing(found)
        if standing is None:
            raise NotFound(MISSING)
        if may(glance.caller, Action.AUDIT_CONTENT):
            self._noted(glance, found)
        return await self._told(glance, found), standing

    async def _found(self, glance: Glance, event_id: str) -> Event:
        require(glance.caller, Action.AUDIT)
        found = await self.questions.within(glance.caller.tenant).event(event_id)
        if found is None:
            raise NotFound(MISSING)
        return found

    async def _told(self, glance: Glance, found: Event) -> Event:
        may_read = may(glance.caller, Action.AUDIT_CONTENT)
        told = await self.opening.one(found) if may_read else masked(found)
        return await self.join(told, glance.caller)

    def _noted(self, glance: Glance, found: Event) -> None:
        self.note(look_of(glance, Look.READ, found.id, self.clock()))
