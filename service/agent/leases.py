"""The leases of this process on conversations, one for each in which a turn runs here that named it.

Refuses a conversation in which a turn of another process runs. Where the database is away nobody can look:
then this process's own rule holds alone, as it does for a conversation that is new.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from contextvars import Context
from typing import Protocol

from service.errors import Conflict, DatabaseError

RUNNING = "A turn of this conversation is still running."
BUSY_MS = 1_000
"""When to come back to a conversation in which a turn runs: nobody knows how long it will."""
RENEW_SECONDS = 3.0
"""A lease lasts three times as long: most turns need no renewal, and two may fail."""

Place = tuple[str, str]
"""A user's id and a conversation's."""


class LeaseStore(Protocol):
    """Where leases are, for all processes; every method raises DatabaseError. Holders are turns."""

    async def take(self, user_id: str, conversation_id: str, holder: str, instead_of: str) -> bool:
        """Take it where it is free, or in place of a holder of one's own."""
        ...

    async def renew(self, holders: Iterable[str]) -> None:
        """Let these go on."""
        ...

    async def release(self, user_id: str, conversation_id: str, holder: str) -> None:
        """Free it, where that holder has it."""
        ...


class Leases:
    """What this process holds: of each conversation the turn that came last; without a store nothing."""

    def __init__(self, store: LeaseStore | None = None) -> None:
        self._store = store
        self._held: dict[Place, str] = {}
        self._renewal: asyncio.Task[None] | None = None

    async def take(self, place: Place, turn_id: str) -> None:
        """Take a conversation for a turn, in place of one of this process that is not written yet.

        Raises:
            Conflict: a turn of another process has it.
        """
        if self._store is None:
            return
        before = self._held.get(place)
        self._hold(place, turn_id)  # before it is taken: a turn that is cancelled meanwhile lets go too
        with suppress(DatabaseError):
            if not await self._store.take(*place, turn_id, before or turn_id):
                self.drop(place, turn_id)
                raise Conflict(RUNNING, retry_after_ms=BUSY_MS)

    async def release(self, place: Place, turn_id: str) -> None:
        """Let go, where no other turn of this process has it meanwhile; what cannot be freed expires."""
        if self._store and self.drop(place, turn_id):
            with suppress(DatabaseError):
                await self._store.release(*place, turn_id)

    def drop(self, place: Place, turn_id: str) -> bool:
        """Renew it no more; whether it was this turn's."""
        if self._held.get(place) != turn_id:
            return False
        del self._held[place]
        if not self._held and self._renewal:
            self._renewal.cancel()
            self._renewal = None
        return True

    def _hold(self, place: Place, turn_id: str) -> None:
        self._held[place] = turn_id
        if self._renewal is None:
            # Not in the context of the turn, whose span ends before this does.
            self._renewal = asyncio.create_task(self._renew(), name="leases", context=Context())

    async def _renew(self) -> None:
        while self._store:
            await asyncio.sleep(RENEW_SECONDS)
            with suppress(DatabaseError):
                await self._store.renew(tuple(self._held.values()))
