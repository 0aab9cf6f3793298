"""Doubles shipped with the product: a sink that remembers.

Refuses nothing and forgets nothing: whatever it is told, it keeps.
"""

from telemetry.record import TurnOpening, TurnRecord


class MemorySink:
    """Keeps everything it is told, in order."""

    def __init__(self) -> None:
        self.openings: list[TurnOpening] = []
        self.records: list[TurnRecord] = []
        self.running = False

    def opened(self, opening: TurnOpening) -> None:
        """Remember it."""
        self.openings.append(opening)

    def closed(self, record: TurnRecord) -> None:
        """Remember it."""
        self.records.append(record)

    async def start(self) -> None:
        """Run."""
        self.running = True

    async def stop(self) -> None:
        """Run no more."""
        self.running = False
