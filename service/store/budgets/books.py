"""A draft from the database and back into it, a statement for all of its rows.

Refuses half a change: it is all one script, and whoever runs it holds the ledger's lock.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from piccolo.querystring import QueryString

from service.store.budgets.draft import HELD, Account, Draft, Holding, Key
from service.store.engine import Ask, Script
from service.store.listed import listed
from service.store.postgres.engine import MONEY

LOCK = QueryString(f"SELECT pg_advisory_xact_lock({MONEY})")
KEYS: Mapping[str, str] = MappingProxyType(
    {
        "sqlite": "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), "
        "json_extract(value, '$[2]') FROM json_each({})",
        "postgres": "SELECT e->>0, e->>1, e->>2 FROM json_array_elements({}::json) AS e",
    }
)
ACCOUNTS = (
    "SELECT scope, subject, period, spent, reserved, told FROM budget_ledger "
    "WHERE (scope, subject, period) IN ({})"
)
RESERVED = "SELECT id, writer, amount, returned, accounts, state, expires_at FROM budget_reservation WHERE "
OF_IDS = RESERVED + "id IN ({})"
DUE = RESERVED + "id IN ({}) OR (state = 'held' AND expires_at <= {})"
OF_WRITER = RESERVED + "writer = {}"
HELD_ONES = QueryString(RESERVED + "amount > 0")
WRITE_ACCOUNTS: Mapping[str, str] = MappingProxyType(
    {
        "sqlite": "INSERT INTO budget_ledger (scope, subject, period, spent, reserved, told) "
        "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), "
        "json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]') "
        "FROM json_each({}) WHERE true ",
        "postgres": "INSERT INTO budget_ledger (scope, subject, period, spent, reserved, told) "
        "SELECT e->>0, e->>1, e->>2, (e->>3)::bigint, (e->>4)::bigint, (e->>5)::bigint "
        "FROM json_array_elements({}::json) AS e ",
    }
)
ON_ACCOUNT = (
    "ON CONFLICT (scope, subject, period) DO UPDATE SET "
    "spent = excluded.spent, reserved = excluded.reserved, told = excluded.told"
)
WRITE_HOLDINGS: Mapping[str, str] = MappingProxyType(
    {
        "sqlite": "INSERT INTO budget_reservation "
        "(id, writer, amount, returned, accounts, state, expires_at) "
        "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), "
        "json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'), "
        "json_extract(value, '$[6]') FROM json_each({}) WHERE true ",
        "postgres": "INSERT INTO budget_reservation "
        "(id, writer, amount, returned, accounts, state, expires_at) "
        "SELECT e->>0, e->>1, (e->>2)::bigint, (e->>3)::bigint, e->>4, e->>5, (e->>6)::bigint "
        "FROM json_array_elements({}::json) AS e ",
    }
)
ON_HOLDING = (
    "ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, returned = excluded.returned, "
    "state = excluded.state"
)
FORGET = "DELETE FROM budget_reservation WHERE id IN ({})"

_keys = msgspec.json.Decoder(tuple[Key, ...]).decode


def lock(dialect: str) -> Script[None]:
    """Hold the ledger's lock, for a script of another queue; it is the last lock that a script takes."""
    if dialect == "postgres":
        yield Ask(LOCK)


def load_holdings(draft: Draft, query: QueryString) -> Script[None]:
    """Know some reservations, and the accounts that they are in."""
    draft.take([_holding(row) for row in (yield Ask(query))])


def of_ids(dialect: str, ids: Iterable[str]) -> QueryString:
    """The reservations of these ids."""
    return QueryString(OF_IDS, listed(dialect, ids))


def due(dialect: str, ids: Iterable[str], now: int) -> QueryString:
    """The same, and all whose time is over."""
    return QueryString(DUE, listed(dialect, ids), now)


def load_accounts(draft: Draft, keys: Iterable[Key], dialect: str) -> Script[None]:
    """Know these accounts, and those of the reservations that are known, as far as they are there."""
    wanted = {*keys, *(place for each in draft.holdings.values() for place in each.keys)}
    if not wanted:
        return
    found = yield Ask(of_keys(wanted, dialect))
    draft.accounts |= {key(row): account(row) for row in found}


def of_keys(keys: Iterable[Key], dialect: str) -> QueryString:
    """These accounts."""
    return QueryString(ACCOUNTS, QueryString(KEYS[dialect], _json(sorted(keys))))


def write(draft: Draft, dialect: str) -> Script[None]:
    """Write what changed; a reservation with nothing in it goes."""
    if draft.changed:
        rows = [(*each, *_sums(draft.accounts[each])) for each in sorted(draft.changed)]
        yield Ask(QueryString(WRITE_ACCOUNTS[dialect] + ON_ACCOUNT, _json(rows)))
    moved = [draft.holdings[each] for each in sorted(draft.moved)]
    if rows := [_written(each) for each in moved if each.amount > 0]:
        yield Ask(QueryString(WRITE_HOLDINGS[dialect] + ON_HOLDING, _json(rows)))
    if gone := [each.id for each in moved if each.amount <= 0]:
        yield Ask(QueryString(FORGET, listed(dialect, gone)))


def _sums(account: Account) -> tuple[int, int, int]:
    return account.spent, account.reserved, account.told


def _written(holding: Holding) -> tuple[Any, ...]:
    return (
        *(holding.id, holding.writer, holding.amount, holding.returned),
        *(_json(holding.keys), holding.state, holding.expires_at),
    )


def _holding(row: Mapping[str, Any]) -> Holding:
    return Holding(
        id=str(row["id"]),
        writer=str(row["writer"]),
        amount=int(row["amount"]),
        returned=int(row["returned"]),
        keys=_keys(row["accounts"]),
        state=str(row["state"]),
        expires_at=int(row["expires_at"]),
    )


def key(row: Mapping[str, Any]) -> Key:
    """The account of a row."""
    return str(row["scope"]), str(row["subject"]), str(row["period"])


def account(row: Mapping[str, Any]) -> Account:
    """What a row says of an account."""
    return Account(int(row["spent"]), int(row["reserved"]), int(row["told"]))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def held_by_key(holdings: Iterable[Holding]) -> dict[Key, Account]:
    """What reservations come to in each account: held ones in reserved, expired ones in spent."""
    sums: dict[Key, Account] = {}
    for each in holdings:
        for place in each.keys:
            put = sums.setdefault(place, Account())
            if each.state == HELD:
                put.reserved += each.amount
            else:
                put.spent += each.amount
    return sums
