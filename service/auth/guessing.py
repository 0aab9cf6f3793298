"""Wrong credentials by the address they came from: who sends too many waits before any is looked at.

Refuses to remember for long, or without end: a minute, and so many addresses.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

WINDOW = 60.0
"""Seconds in which so many may be wrong."""
CAPACITY = 10_000
"""Addresses that are remembered."""


class Guesses:
    """Counts for each address how many credentials were wrong lately. `clock` gives seconds.

    A burst of `most` may be wrong, and after it as many a minute, evenly; 0: nobody is held off.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self._clock = most, clock
        self._full_at: OrderedDict[str, float] = OrderedDict()  # when an address's count is down at zero
        self._held: dict[str, float] = {}  # until when

    def anybody(self) -> bool:
        """Whether any address may have to wait: none, where nobody guessed lately."""
        while self._held:
            address, until = next(iter(self._held.items()))
            if until > self._clock():
                return True
            del self._held[address]
        return False

    def wait(self, address: str) -> float:
        """Seconds until an address is looked at again; 0 where it is."""
        left = self._held.get(address, 0.0) - self._clock()
        if left <= 0:
            self._held.pop(address, None)
        return max(0.0, left)

    def missed(self, address: str) -> bool:
        """One was wrong; whether the address is held off from now on, and was not before."""
        if not self.most:
            return False
        now, step = self._clock(), WINDOW / self.most
        full = max(now, self._full_at.pop(address, now)) + step
        self._full_at[address] = full
        if len(self._full_at) > CAPACITY:
            gone, _ = self._full_at.popitem(last=False)
            self._held.pop(gone, None)
        if full + step <= now + WINDOW + 1e-9:
            return False
        new = not self.wait(address)
        self._held[address] = full + step - WINDOW
        return new
