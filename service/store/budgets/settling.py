"""Events that are new in the log -> the ledger, in the transaction that appends them.

Refuses to charge anything twice: an event is new once. What was put aside for it ends there too.
"""

from collections.abc import Sequence

from msgspec import Struct

from service.store.budgets import books
from service.store.budgets.draft import Draft, Key
from service.store.budgets.keys import keys_of
from service.store.engine import Script


class Charge(Struct, frozen=True):
    """An event that costs something, or that money was put aside for.

    `lease` is the event's own id, or that of a chunk.
    """

    id: str
    subject: str | None
    role: str | None
    at: int
    micros: int
    lease: str | None

    @property
    def keys(self) -> tuple[Key, ...]:
        """The accounts that it counts in, where they are there."""
        return tuple(keys_of(self.subject, self.role, self.at)) if self.micros else ()


def settle(charges: Sequence[Charge], dialect: str) -> Script[None]:
    """Charge new events to every account that they count in, and end what was put aside for them."""
    yield from books.lock(dialect)
    draft = Draft()
    leases = {each.lease for each in charges if each.lease}
    if leases:
        yield from books.load_holdings(draft, books.of_ids(dialect, leases))
    keys = {each: each.keys for each in charges}
    yield from books.load_accounts(draft, {key for each in keys.values() for key in each}, dialect)
    for each in charges:
        _end(each, draft)
        for key in keys[each]:
            draft.change(key, spent=each.micros)
    yield from books.write(draft, dialect)


def _end(charge: Charge, draft: Draft) -> None:
    holding = draft.holdings.get(charge.lease or "")
    if holding:
        own = holding.id == charge.id
        draft.lower(holding, holding.amount if own else min(charge.micros, holding.amount))
