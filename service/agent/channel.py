"""Between a turn and whoever listens: bounded, so that a slow listener slows the model and not the memory.

Closing either end wakes the other; nobody waits for ever. What was heard may be kept for a listener who comes
again; refuses to keep more than there is room for.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from service.agent.events import ApprovalAsked, Began, Event, Text, Thought
from service.agent.room import NONE, Room
from service.errors import ClientGone, NotFound

CAPACITY = 64
"""Events that wait for the listener before the turn does."""
OVERHEAD = 200
"""Bytes that an event takes beside its text."""

Ready = Callable[[], Awaitable[None]]
"""Waits until the first event may be heard."""


async def _at_once() -> None:
    """Wait for nothing."""


class Channel:
    """Events of one turn, numbered from 1: one speaker, and listeners that may come and go.

    `said` is how many there were. `ready` is waited for before the first. The speaker waits for the listener
    who is furthest; what that one has heard is kept as far as `room` goes, and a listener who is further
    behind is left behind.
    """

    def __init__(self, ready: Ready = _at_once, room: Room = NONE) -> None:
        self._ready, self._room = ready, room
        self._events: deque[tuple[Event, int]] = deque()
        self.said = self._dropped = self._held = 0
        self._ears: list[Ear] = []
        self._speaking: list[asyncio.Future[None]] = []
        self._hearing: list[asyncio.Future[None]] = []
        self._finished = self.left = False
        self._texts: list[str] = []
        self._thoughts: list[str] = []

    @property
    def text(self) -> str:
        """The answer as far as it was said."""
        return "".join(self._texts)

    @property
    def thinking(self) -> str:
        """What the model thought, as far as it was said."""
        return "".join(self._thoughts)

    @property
    def listeners(self) -> int:
        """How many there are now."""
        return len(self._ears)

    async def say(self, event: Event) -> None:
        """Hand over an event.

        Raises:
            ClientGone: nobody listens any more.
        """
        if behind := self.said - self._heard():
            await asyncio.sleep(0)  # whoever listens has a turn between any two events
        while behind and not self.left and self.said - self._heard() >= CAPACITY:
            await change(self._speaking)
        if self.left:
            raise ClientGone
        if isinstance(event, Text | Thought):
            (self._texts if isinstance(event, Text) else self._thoughts).append(event.text)
        self._keep(event, _size(event) + OVERHEAD)
        wake(self._hearing)

    async def begin(self, began: Began) -> None:
        """Hand over the first event, however often this is called."""
        if not self.said:
            await self._ready()
            await self.say(began)

    def finish(self) -> None:
        """Nothing more will be said."""
        self._finished = True
        wake(self._hearing)

    def leave(self) -> None:
        """Nobody listens any more, nor will; what was kept is let go of."""
        self.left = True
        self._ears.clear()
        while self._events:
            self._drop()
        wake(self._hearing)
        wake(self._speaking)

    def listen(self, after: int = 0) -> "Ear":
        """Hear what comes after the event of this number.

        Raises:
            NotFound: that is no longer kept, or was never said.
        """
        if self.left or not self._dropped <= after <= self.said:
            raise NotFound("What comes after that event is not kept.")
        ear = Ear(self, after)
        self._ears.append(ear)
        return ear

    def forget(self, ear: "Ear") -> None:
        """One listener goes; the others hear on."""
        if ear in self._ears:
            self._ears.remove(ear)
            wake(self._speaking)

    async def after(self, place: int) -> Event | None:
        """The event that comes after a number; None when there will be none."""
        while place >= self.said and not (self._finished or self.left):
            await change(self._hearing)
        if self.left or place >= self.said or place < self._dropped:
            return None
        return self._events[place - self._dropped][0]

    def heard(self) -> None:
        """A listener heard one more: there is room for the speaker again."""
        self._trim()
        wake(self._speaking)

    def _trim(self) -> None:
        """Let go of what was heard and there is no room for."""
        heard = self._heard()
        while self._dropped < heard and not self._room.holds(self._held):
            self._drop()

    def _heard(self) -> int:
        """The number of the last event that anybody has heard; without a listener no event waits for one."""
        if len(self._ears) == 1:
            return self._ears[0].place
        return max((ear.place for ear in self._ears), default=self.said)

    def _keep(self, event: Event, size: int) -> None:
        self._events.append((event, size))
        self.said += 1
        self._held += size
        self._room.take(size)
        self._trim()

    def _drop(self) -> None:
        _, size = self._events.popleft()
        self._dropped += 1
        self._held -= size
        self._room.give(size)


def _size(event: Event) -> int:
    """About how many characters an event has of its own."""
    match event:
        case Text(text) | Thought(text):
            return len(text)
        case ApprovalAsked(arguments=arguments):
            return len(str(arguments))
        case _:
            return 0


async def change(waiting: list[asyncio.Future[None]]) -> None:
    """Wait among these until they are woken."""
    changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting.append(changed)
    await changed


def wake(waiting: list[asyncio.Future[None]]) -> None:
    """Let all of them go on."""
    if not waiting:
        return
    for each in waiting:
        if not each.done():  # whoever waited may have been cancelled
            each.set_result(None)
    waiting.clear()


class Ear:
    """One listener; `place` is the number of the event heard last."""

    def __init__(self, channel: Channel, place: int) -> None:
        self._channel, self.place = channel, place

    async def hear(self) -> Event | None:
        """The next event; None when the speaker is done, or this listener has been left behind."""
        event = await self._channel.after(self.place)
        if event is not None:
            self.place += 1
            self._channel.heard()
        return event

    def leave(self) -> None:
        """Listen no more."""
        self._channel.forget(self)
