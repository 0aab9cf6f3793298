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

    async def take(self, user_id: str, conversation_id: str, holder: str) -> bool:
        """Take it where it is free, or that holder's already."""
        ...

    async def renew(self, holders: Iterable[str]) -> None:
        """Let these go on."""
        ...

    async def release(self, user_id: str, conversation_id: str, holder: str) -> None:
        """Free it, where that holder has it."""
        ...


class Held:
    """A lease of this process: by whom it is held, and the turns that need it, running or not yet written."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        self.turns: set[str] = set()


class Leases:
    """What this process holds; without a store nothing."""

    def __init__(self, store: LeaseStore | None = None) -> None:
        self._store = store
        self._held: dict[Place, Held] = {}
        self._freeing: dict[Place, asyncio.Event] = {}
        self._left: dict[Place, str] = {}  # who holds what could not be freed
        self._renewal: asyncio.Task[None] | None = None

    async def take(self, place: Place, turn_id: str) -> None:
        """Take a conversation for a turn, together with those of this process that are not written yet.

        Raises:
            Conflict: a turn of another process has it.
        """
        if self._store is None:
            return
        if freeing := self._freeing.get(place):
            await freeing.wait()
        held = self._held.setdefault(place, Held(self._left.get(place, turn_id)))
        held.turns.add(turn_id)  # before it is taken: a turn that is cancelled meanwhile lets go too
        self._keep_renewed()
        with suppress(DatabaseError):
            if not await self._store.take(*place, held.holder):
                self.drop(place, turn_id)
                raise Conflict(RUNNING, retry_after_ms=BUSY_MS)

    async def release(self, place: Place, turn_id: str) -> None:
        """Let go, where no other turn of this process needs it; what cannot be freed expires."""
        holder = self.drop(place, turn_id)
        if self._store is None or holder is None:
            return
        freeing = self._freeing[place] = asyncio.Event()
        try:
            await self._store.release(*place, holder)
        except DatabaseError:
            self._left[place] = holder
            asyncio.get_running_loop().call_later(3 * RENEW_SECONDS, self._left.pop, place, None)
        else:
            self._left.pop(place, None)
        finally:
            self._freeing.pop(place, None)
            freeing.set()

    def drop(self, place: Place, turn_id: str) -> str | None:
        """A turn needs it no more; where that was the last nobody renews it: gives by whom it was held."""
        held = self._held.get(place)
        if held is None or turn_id not in held.turns:
            return None
        held.turns.remove(turn_id)
        if held.turns:
            return None
        del self._held[place]
        if not self._held and self._renewal:
            self._renewal.cancel()
            self._renewal = None
        return held.holder

    def _keep_renewed(self) -> None:
        if self._renewal is None:
            # Not in the context of the turn, whose span ends before this does.
            self._renewal = asyncio.create_task(self._renew(), name="leases", context=Context())

    async def _renew(self) -> None:
        while self._store:
            await asyncio.sleep(RENEW_SECONDS)
            with suppress(DatabaseError):
                await self._store.renew([held.holder for held in self._held.values()])
