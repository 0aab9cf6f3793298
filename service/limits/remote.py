"""What a store in another process is to those who can do without it for a while.

Refuses to say how it is reached, or what is done while it is away.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from service.limits.state import Live
from service.limits.store import Store, StoreAway


class StoreSlow(StoreAway):
    """It did not answer in time: one slow call is no outage yet."""


class Meeting(Struct, frozen=True, kw_only=True):
    """A store that was met, able to count.

    `epoch` names the life of its memory: another one has forgotten what an earlier one counted. `age_us` is
    how long that life has lasted, by the store's clock. `forgetful` says that it may drop counts when its
    memory is full.
    """

    epoch: str
    age_us: int
    forgetful: bool = False


class Remote(Store, Protocol):
    """A Store whose loss can be seen, and whose memory can be mended."""

    async def meet(self) -> Meeting:
        """See whether it can count, and which life of its memory it is in; trusts nothing yet.

        Raises:
            StoreAway: it did not answer, or cannot be written to.
        """
        ...

    def trust(self, epoch: str) -> None:
        """Decide on this memory from now on, and on no other."""
        ...

    async def merge(self, pieces: Sequence[Live]) -> None:
        """Count what was admitted without it.

        Raises:
            StoreAway: it did not take all of it; what is sent again may count twice: stricter, never laxer.
        """
        ...

    async def warm(self) -> None:
        """Open every connection there may be, so that no decision waits for one.

        Raises:
            StoreAway: it could not.
        """
        ...

    async def close(self) -> None:
        """Let go of it; calls under way end as if it were away."""
        ...
