"""Between a turn and whoever listens: bounded, so that a slow listener slows the model and not the memory.

Closing either end wakes the other; nobody waits for ever.
"""

from collections.abc import Awaitable, Callable

from anyio import BrokenResourceError, ClosedResourceError, EndOfStream, create_memory_object_stream

from service.agent.events import Began, Event, Text
from service.errors import ClientGone

CAPACITY = 64
"""Events that wait for the listener before the turn does."""


Ready = Callable[[], Awaitable[None]]
"""Waits until the first event may be heard."""


async def _at_once() -> None:
    """Wait for nothing."""


class Channel:
    """Events of one turn, one speaker and one listener; `ready` is waited for before the first."""

    def __init__(self, ready: Ready = _at_once) -> None:
        self._ready = ready
        self._speak, self._hear = create_memory_object_stream[Event](CAPACITY)
        self._begun = False
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        """The answer as far as it was said."""
        return "".join(self._texts)

    async def say(self, event: Event) -> None:
        """Hand over an event.

        Raises:
            ClientGone: nobody listens any more.
        """
        try:
            await self._speak.send(event)
            self._texts += [event.text] if isinstance(event, Text) else []
        except (BrokenResourceError, ClosedResourceError) as error:
            raise ClientGone from error

    async def begin(self, began: Began) -> None:
        """Hand over the first event, however often this is called."""
        if not self._begun:
            self._begun = True
            await self._ready()
            await self.say(began)

    def finish(self) -> None:
        """Nothing more will be said."""
        self._speak.close()

    def leave(self) -> None:
        """Nobody listens any more."""
        self._hear.close()

    async def hear(self) -> Event | None:
        """The next event; None when the speaker is done, or the listener left."""
        try:
            return await self._hear.receive()
        except (EndOfStream, ClosedResourceError):
            return None
