"""Sums floods of refusals: the first 20 of a caller and reason in 10 s have rows, further ones share one.

Refuses to lose count, and to remember callers for longer than their window.
"""

from collections import OrderedDict
from collections.abc import Iterator

from msgspec import Struct

from telemetry.record import Outcome, TurnRecord

OWN = 20
SECONDS = 10.0

Key = tuple[str | None, str]


class Window(Struct):
    """What was refused to one caller for one reason since `began`, in seconds of a monotonic clock."""

    began: float
    number: int = 0
    shared_id: str | None = None
    """The row that further ones share; None while each has its own."""

    @property
    def shared(self) -> int:
        """How many refusals the shared row stands for."""
        return max(self.number - OWN, 0)


class Floods:
    """Says of each refusal whether it has a row of its own."""

    def __init__(self) -> None:
        self._windows: OrderedDict[Key, Window] = OrderedDict()

    def window(self, record: TurnRecord, now: float) -> Window | None:
        """Count a refusal; its window where it shares a row, None where it has its own."""
        if record.outcome is not Outcome.REFUSED or record.failure is None:
            return None
        caller = record.opening.caller
        key = caller.person if caller else None, record.failure.code.value
        window = self._windows.setdefault(key, Window(now))
        window.number += 1
        if not window.shared:
            return None
        window.shared_id = window.shared_id or record.opening.turn_id
        return window

    def over(self, now: float, seconds: float = SECONDS) -> Iterator[Window]:
        """Forget the windows that are over, the oldest first; those whose refusals shared a row."""
        while self._windows:
            key, window = next(iter(self._windows.items()))
            if now - window.began < seconds:
                return
            del self._windows[key]
            if window.shared_id:
                yield window
