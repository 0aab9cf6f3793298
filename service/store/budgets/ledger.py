"""The budgets' ledger in the database: what was spent and put aside, over all processes.

Refuses to drift from the events: it is made of them, and charged in the transaction that appends them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.seal.vault import Vault
from service.store import subjects
from service.store.audit import appended
from service.store.budgets import books, reckoning, sums, work
from service.store.budgets.draft import Account, Draft, Key
from service.store.budgets.keys import USER, keys_by_name
from service.store.budgets.reckoning import Difference, Read
from service.store.budgets.sums import Grouped, Known
from service.store.budgets.work import Answer, Lacking, Standing, Told, Want
from service.store.engine import Ask, Queue, Script, StoreEngine
from service.store.listed import listed
from service.store.row import AuditRow
from service.store.text import storable

ATTEMPTS = 5
"""Users first, then accounts; somebody may be erased meanwhile."""
NOT_THERE = "The budget's ledger does not keep its accounts."
FOUND = "SELECT id, user_id FROM audit_subject WHERE user_id IN ({})"
NOTHING: Mapping[str, int] = MappingProxyType({})

Tell = Callable[[Sequence[Difference]], AuditRow]
"""The event that says what was corrected; it is appended in the same transaction."""


class BudgetLedger:
    """The ledger; every method raises DatabaseError. Money is micro-dollars, times microseconds (UTC)."""

    def __init__(self, engine: StoreEngine, vault: Vault) -> None:
        self._engine, self._vault, self._dialect = engine, vault, engine.engine_type
        self._known_sums: dict[str, Grouped] = {}

    async def work(
        self,
        writer: str,
        now: int,
        wants: Sequence[Want],
        returns: Mapping[str, int] = NOTHING,
        charges: Mapping[str, int] = NOTHING,
    ) -> tuple[Answer, ...]:
        """In one transaction: take back, charge, let expire what is over, then put aside what is wanted.

        Args:
            writer: The journal of this process.
            now: This moment.
            wants: In their order; each is put aside as far as all budgets allow, or not at all.
            returns: What was given back of reservations in all, by their ids. Telling it again is harmless.
            charges: What reservations came to that no event will tell of; they end.
        """
        script = partial(self._working, writer, now, wants, Told(returns, charges))
        for _ in range(ATTEMPTS):
            done = await self._engine.run_script(script, Queue.MONEY)
            if not isinstance(done, Lacking):
                return done
            await self._open(done, now)
        raise DatabaseError(NOT_THERE)

    async def standings(
        self, user_id: str, role: str, at: int, limits: Mapping[str, int]
    ) -> tuple[Standing, ...]:
        """How budgets stand for a user in a role; changes nothing."""
        found = await self._engine.run_querystring(
            QueryString(FOUND, listed(self._dialect, [storable(user_id)]))
        )
        keys = keys_by_name(limits, str(found[0]["id"]) if found else "", role, at)
        query = books.of_keys(keys.values(), self._dialect)
        there = {books.key(row): books.account(row) for row in await self._engine.run_querystring(query)}
        told: list[Standing] = []
        for name, key in keys.items():
            account = there.get(key) or Account((await sums.known_of(key, self._engine)).micros)
            told.append(work.standing(name, limits[name], key, account))
        return tuple(told)

    async def finish(self, writer: str) -> None:
        """A dead process's events are all in the log: what else it put aside was never used."""
        await self._engine.run_script(partial(self._finishing, writer), Queue.MONEY)

    async def differences(self, now: int, since: int = 0) -> tuple[Difference, ...]:
        """Hold this day's and this month's accounts against the events; `since` is when all are kept from."""
        read = await self._read_on(reckoning.current(now, since))
        return await self._engine.run_script(partial(self._comparing, read, now), Queue.MONEY)

    async def rebuild(self, now: int, tell: Tell | None, since: int = 0) -> tuple[Difference, ...]:
        """Make the accounts of these and the last day and month anew from the events; gives what differed.

        Without `tell` nothing is changed.
        """
        read = await self._read(reckoning.recent(now, since))
        return await self._engine.run_script(partial(self._rebuilding, read, now, tell))

    def _working(
        self, writer: str, now: int, wants: Sequence[Want], told: Told
    ) -> Script[tuple[Answer, ...] | Lacking]:
        known = yield from self._known(wants)
        if unknown := [each for each in _users(wants) if each not in known]:
            return Lacking(users=tuple(unknown))
        placed, draft = work.placed(wants, known), Draft()
        keys = {key for each in placed for key in each.keys.values()}
        ids = {*told.returns, *told.charges, *(each.lease for each in wants)}
        yield from books.load_holdings(draft, books.due(self._dialect, ids, now))
        yield from books.load_accounts(draft, keys, self._dialect)
        if missing := keys - draft.accounts.keys():
            return Lacking(keys=tuple(sorted(missing)))
        work.hear(told, draft, now)
        answers = tuple(work.decide(each, draft, writer) for each in placed)
        yield from books.write(draft, self._dialect)
        return answers

    def _known(self, wants: Sequence[Want]) -> Script[Mapping[str, str]]:
        """Random ids by user, as far as a user's own budgets are wanted."""
        users = {each: storable(each) for each in _users(wants)}
        if not users:
            return {}
        found = yield Ask(QueryString(FOUND, listed(self._dialect, sorted({*users.values()}))))
        ids = {str(row["user_id"]): str(row["id"]) for row in found}
        return {user: ids[name] for user, name in users.items() if name in ids}

    async def _open(self, lacking: Lacking, now: int) -> None:
        # Before anybody has to wait: what all did in a month may be many events.
        shared = [key for key in lacking.keys if key[0] != USER]
        known = {key: await sums.known_of(key, self._engine) for key in shared}
        # In the log's queue: no event is being appended meanwhile, which would be neither seen nor charged.
        await self._engine.run_script(partial(self._opening, lacking, known, now))

    def _opening(self, lacking: Lacking, known: Mapping[Key, Known], now: int) -> Script[None]:
        if lacking.users:
            asked = [(user, now) for user in lacking.users]
            yield from subjects.named(asked, self._vault, self._dialect, now)
        yield from books.lock(self._dialect)
        draft = Draft()
        yield from books.load_holdings(draft, books.HELD_ONES)
        yield from books.load_accounts(draft, lacking.keys, self._dialect)
        aside = books.held_by_key(draft.holdings.values())
        for key in lacking.keys:
            if key not in draft.accounts:
                before = known.get(key, Known(0, 0))
                (row,) = yield Ask(sums.sum_of(key, before.upto, sums.LAST, self._dialect))
                put = aside.get(key, Account())
                spent = before.micros + int(row["micros"]) + put.spent
                draft.accounts[key] = Account(spent, put.reserved)
                draft.changed.add(key)
        yield from books.write(draft, self._dialect)

    def _finishing(self, writer: str) -> Script[None]:
        draft = Draft()
        yield from books.load_holdings(draft, QueryString(books.OF_WRITER, writer))
        yield from books.load_accounts(draft, (), self._dialect)
        for each in draft.holdings.values():
            draft.lower(each, each.amount)
        yield from books.write(draft, self._dialect)

    async def _read(self, periods: Sequence[str]) -> Read:
        """What the events of some periods came to, all of them read."""
        (row,) = await self._engine.ask(sums.NEXT)
        upto = int(row["size"])
        found = [(each, await sums.grouped_of(each, upto, self._engine)) for each in periods]
        return Read(upto, {each: grouped.sums for each, grouped in found})

    async def _read_on(self, periods: Sequence[str]) -> Read:
        """The same; what was read before is not read again."""
        (row,) = await self._engine.ask(sums.NEXT)
        upto = int(row["size"])
        known = {
            each: await sums.grouped_of(each, upto, self._engine, self._known_sums.get(each))
            for each in periods
        }
        self._known_sums = known
        return Read(upto, {each: grouped.sums for each, grouped in known.items()})

    def _comparing(self, read: Read, now: int) -> Script[tuple[Difference, ...]]:
        return (yield from reckoning.compare(read, Draft(), self._dialect, now))

    def _rebuilding(self, read: Read, now: int, tell: Tell | None) -> Script[tuple[Difference, ...]]:
        yield from books.lock(self._dialect)
        draft = Draft()
        found = yield from reckoning.compare(read, draft, self._dialect, now)
        if tell and found:
            yield from books.write(draft, self._dialect)
            yield from appended([tell(found)], self._vault, self._dialect)
        return found


def _users(wants: Sequence[Want]) -> Sequence[str]:
    """Who has a budget of their own."""
    own = (each.user_id for each in wants if any(name.startswith(USER) for name in each.limits))
    return tuple(dict.fromkeys(own))
