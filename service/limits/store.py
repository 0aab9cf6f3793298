"""What every store of limits does, wherever it keeps its state.

Refuses to say where that is; tests/contracts/test_limit_stores.py holds all of them to the same promises.
"""

from typing import Protocol

from service.limits.demand import Demand, Verdict


class StoreAway(Exception):
    """A shared store did not answer in time, or could not take what it was told; nobody knows what it did."""


class Store(Protocol):
    """Decides over all parts of a demand in one step: all or nothing, and refusals cost nothing.

    A count: never more than `limit` admitted in any span of `window_ms`, whole bursts from idle. A quantity:
    never more than `limit` in any span, `limit // 5` at once, at least 0.8 `limit` a window when asked
    steadily. A lease: never more than `limit` held at one time.

    No method raises for what a store can meet while it runs; one that is away is the business of
    `service.limits.loss`.
    """

    name: str
    """memory, redis: what the record says decided."""

    async def decide(self, demand: Demand) -> Verdict:
        """Admit the whole demand and count it, or deny it at no cost.

        Raises:
            StoreAway: a shared store did not answer in time, or could not take it.
        """
        ...

    async def peek(self, demand: Demand) -> Verdict:
        """Say what `decide` would at this moment; counts nothing.

        Raises:
            StoreAway: as above.
        """
        ...

    async def settle(self, demand: Demand, verdict: Verdict, spent: int) -> None:
        """Give back what an admitted demand holds: its leases, and of its quantities all but `spent`.

        Never lets a window hold more than it may: of a quantity that much is given back as certainly was
        not used by others meanwhile. Settling twice is settling once for leases; a caller settles once.

        Raises:
            StoreAway: as above; leases then end with their window.
        """
        ...

    async def reset(self, demand: Demand) -> None:
        """Forget everything that is counted for the demand's subjects.

        Raises:
            StoreAway: as above.
        """
        ...
