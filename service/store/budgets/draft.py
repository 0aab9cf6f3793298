"""Accounts and reservations while a script works on them: sums move between them, and are written at the end.

Refuses to take more from a reservation than is in it, and to make up an account that is not there.
"""

from collections.abc import Iterable

from msgspec import Struct

Key = tuple[str, str, str]
"""Scope (user, role, total), subject (a user's random id, a role, nothing), period; of a ledger's row."""

HELD, EXPIRED = "held", "expired"


class Account(Struct):
    """One row of the ledger, in micro-dollars; `told` is the most spent of which was told."""

    spent: int = 0
    reserved: int = 0
    told: int = 0

    @property
    def taken(self) -> int:
        """What is no longer free."""
        return self.spent + self.reserved


class Holding(Struct):
    """One reservation. What is expired stands in its accounts' spent, not in their reserved."""

    id: str
    writer: str
    amount: int
    returned: int
    keys: tuple[Key, ...]
    state: str
    expires_at: int


class Draft:
    """What was loaded, and what of it changed."""

    def __init__(self) -> None:
        self.accounts: dict[Key, Account] = {}
        self.holdings: dict[str, Holding] = {}
        self.changed: set[Key] = set()
        self.moved: set[str] = set()

    def change(self, key: Key, *, spent: int = 0, reserved: int = 0) -> None:
        """Add to an account; nothing where there is none: it is made of the events once it is asked for."""
        account = self.accounts.get(key)
        if account:
            account.spent += spent
            account.reserved += reserved
            self.changed.add(key)

    def hold(self, holding: Holding) -> None:
        """Put money aside."""
        self.holdings[holding.id] = holding
        self._move(holding, holding.amount)

    def lower(self, holding: Holding, by: int) -> int:
        """Take so much out of a reservation, at most what is in it; a negative number adds.

        Gives what was taken.
        """
        taken = min(by, holding.amount)
        holding.amount -= taken
        self._move(holding, -taken)
        return taken

    def give_back(self, holding: Holding, returned: int) -> None:
        """Its owner has given back so much in all: telling it twice is telling it once."""
        self.lower(holding, returned - holding.returned)
        holding.returned = returned

    def expire(self, holding: Holding) -> None:
        """Nobody said in time what it came to: all of it counts as spent until somebody does."""
        amount = holding.amount
        self._move(holding, -amount)
        holding.state = EXPIRED
        self._move(holding, amount)

    def take(self, holdings: Iterable[Holding]) -> None:
        """Know reservations as they are."""
        self.holdings |= {each.id: each for each in holdings}

    def _move(self, holding: Holding, amount: int) -> None:
        self.moved.add(holding.id)
        for key in holding.keys:
            if holding.state == HELD:
                self.change(key, reserved=amount)
            else:
                self.change(key, spent=amount)
