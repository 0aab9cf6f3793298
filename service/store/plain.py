"""Conversations that an earlier version kept in clear: a start seals them, some hundred rows a transaction.

Refuses to lose anything: what cannot be sealed, its user having no key that opens, stays readable as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct
from piccolo.querystring import QueryString

from service.seal.vault import Vault
from service.store.engine import Ask, Script, StoreEngine
from service.store.kept import KeptTurn, title_place
from service.store.privacy import Lock, Unreadable, locked

STEP = 500
"""Rows that are looked at in one transaction."""

TURNS = (
    "SELECT turn.turn_id AS id, turn.conversation_id, turn.messages AS said, conversation.user_id, asked_at "
    "FROM conversation_turn AS turn JOIN conversation ON conversation.id = turn.conversation_id "
    "WHERE turn.messages <> '' AND turn.turn_id > {} ORDER BY turn.turn_id LIMIT {}"
)
TITLES = (
    "SELECT id, id AS conversation_id, title AS said, user_id, created_at AS asked_at FROM conversation "
    "WHERE title <> '' AND id > {} ORDER BY id LIMIT {}"
)
SEAL_TURN = "UPDATE conversation_turn SET messages = {}, sealed = {} WHERE turn_id = {}"
SEAL_TITLE = "UPDATE conversation SET title = {}, sealed_title = {} WHERE id = {}"

Place = Callable[[Mapping[str, Any]], str]


class Sort(Struct, frozen=True):
    """One sort of text: how it is found and written, and where each belongs."""

    find: str
    write: str
    place: Place


def _turn_place(row: Mapping[str, Any]) -> str:
    nothing: dict[str, Any] = {"model": "", "messages": "", "position": 0, "asked_at": 0, "answered_at": 0}
    return KeptTurn(turn_id=row["id"], conversation_id=row["conversation_id"], **nothing).place


def _title_place(row: Mapping[str, Any]) -> str:
    return title_place(row["id"])


SORTS = Sort(TURNS, SEAL_TURN, _turn_place), Sort(TITLES, SEAL_TITLE, _title_place)


async def seal_plain(engine: StoreEngine, vault: Vault) -> None:
    """Seal what stands in clear; any number of processes may do so at once, and again after a crash.

    Raises:
        DatabaseError: it is not all done.
    """
    if not vault.masters:
        return
    for sort in SORTS:
        last = ""
        while rows := await engine.ask(QueryString(sort.find, last, STEP)):
            await engine.run_script(partial(_sealing, sort, last, vault, engine.engine_type))
            last = str(rows[-1]["id"])


def _sealing(sort: Sort, last: str, vault: Vault, dialect: str) -> Script[None]:
    """Looked at again under the lock of an erasure: nobody who was forgotten is sealed anew."""
    rows = yield Ask(QueryString(sort.find, last, STEP))
    locks = yield from _locks(rows, vault, dialect)
    for row in rows:
        try:
            said = locks[row["user_id"]].seal(str(row["said"]), sort.place(row))
        except Unreadable:
            continue
        yield Ask(QueryString(sort.write, *said, row["id"]))


def _locks(rows: Sequence[Mapping[str, Any]], vault: Vault, dialect: str) -> Script[Mapping[str, Lock]]:
    found: dict[str, Lock] = {}
    for row in rows:
        user = str(row["user_id"])
        if user not in found:
            found[user] = yield from locked(user, vault, dialect, int(row["asked_at"]))
    return found
