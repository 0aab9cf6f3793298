"""Streams that a client may take up again: those of turns that run, and of turns that ended a while ago.

Refuses everybody but the caller, and in the same words as where there is nothing.
"""

from service.agent.room import ALL, EACH, Room
from service.agent.running import RunningTurn
from service.errors import NotFound
from telemetry.record import Caller

TURN = 8 << 10
"""Bytes that a turn takes beside its events."""
NOT_HERE = "There is no stream of such a turn of yours, or no more, or not in this process."


class Resuming(Room):
    """Knows turns by id as long as what they said is kept; above its bounds the oldest that ended go."""

    def __init__(self, each: int = EACH, all_together: int = ALL) -> None:
        super().__init__(each, all_together)
        self._turns: dict[str, RunningTurn] = {}
        self._over: dict[str, RunningTurn] = {}

    def __len__(self) -> int:
        return len(self._turns)

    def begin(self, turn_id: str, running: RunningTurn) -> None:
        """A turn begins."""
        self._turns[turn_id] = running
        self.take(TURN)

    def end(self, turn_id: str, running: RunningTurn) -> None:
        """It is over; a stream is kept on, until it is given up."""
        if not running.streamed or running.channel.left:
            self.drop(turn_id)
        elif turn_id in self._turns:
            self._over[turn_id] = running
            self._make_room()

    def drop(self, turn_id: str) -> None:
        """It was given up."""
        self._over.pop(turn_id, None)
        if self._turns.pop(turn_id, None):
            self.give(TURN)

    def find(self, turn_id: str, caller: Caller) -> RunningTurn:
        """A stream of this caller's.

        Raises:
            NotFound: whatever the reason is.
        """
        found = self._turns.get(turn_id)
        if not found or not found.streamed or not _same(found.caller, caller):
            raise NotFound(NOT_HERE)
        return found

    def take(self, size: int) -> None:
        """So many bytes more are kept."""
        super().take(size)
        self._make_room()

    def _make_room(self) -> None:
        for running in tuple(self._over.values()) if self.full else ():
            if self.full and not running.channel.listeners:
                running.give_up()


def _same(one: Caller | None, other: Caller) -> bool:
    """Whether these are one person, by whatever credential."""
    return one is not None and one.person == other.person
