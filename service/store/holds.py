"""Legal holds: nothing of whom they are on is erased or removed while they last.

Refuses a second hold on one user, and to release one that is not there.
"""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
from msgspec import Struct
from piccolo.querystring import QueryString

from service.errors import Conflict, NotFound
from service.seal.vault import Vault
from service.store import subjects
from service.store.audit import appended
from service.store.engine import Ask, Load, Script, StoreEngine
from service.store.row import AuditRow
from service.store.text import storable

TABLE, COLUMNS = "audit_hold", ("user_id", "reason", "placed_at")
FIND = "SELECT reason FROM audit_hold WHERE user_id = {}"
LIST = QueryString("SELECT user_id, reason, placed_at FROM audit_hold ORDER BY placed_at, user_id")
RELEASE = "DELETE FROM audit_hold WHERE user_id = {} RETURNING user_id"
HIDDEN = "SELECT id FROM conversation WHERE user_id = {} AND hidden_at IS NOT NULL"
TURNS = f"DELETE FROM conversation_turn WHERE conversation_id IN ({HIDDEN})"  # noqa: S608 - our own words
TITLES = (
    "UPDATE conversation SET title = '', sealed_title = NULL WHERE user_id = {} AND hidden_at IS NOT NULL"
)

Tell = Callable[[str], AuditRow]
"""The event of a hold, by the random id of the user it is on."""


class Hold(Struct, frozen=True):
    """A hold; `placed_at` is microseconds since 1970 (UTC)."""

    user_id: str
    reason: str
    placed_at: int


class Holds:
    """All holds; every method raises DatabaseError."""

    def __init__(self, engine: StoreEngine, vault: Vault) -> None:
        self._engine, self._vault, self._dialect = engine, vault, engine.engine_type

    async def list(self) -> Sequence[Hold]:
        """All that last, the oldest first."""
        return [msgspec.convert(row, Hold) for row in await self._engine.run_querystring(LIST)]

    async def place(self, user_id: str, reason: str, tell: Tell, now: int) -> str:
        """Place a hold on a user, known or not yet; gives the user's random id.

        Raises:
            Conflict: there is one already.
        """
        return await self._engine.run_script(
            partial(self._placing, Hold(storable(user_id), storable(reason), now), tell)
        )

    async def release(self, user_id: str, tell: Tell, now: int) -> str:
        """End a hold; conversations that the user hid meanwhile lose their history now.

        Raises:
            NotFound: there is none.
        """
        return await self._engine.run_script(partial(self._releasing, storable(user_id), tell, now))

    def _placing(self, hold: Hold, tell: Tell) -> Script[str]:
        if (yield Ask(QueryString(FIND, hold.user_id))):
            raise Conflict("There is a legal hold on that user already.")
        yield Load(TABLE, COLUMNS, [msgspec.structs.astuple(hold)])
        return (yield from self._told(hold.user_id, tell, hold.placed_at))

    def _releasing(self, user: str, tell: Tell, now: int) -> Script[str]:
        if not (yield Ask(QueryString(RELEASE, user))):
            raise NotFound("There is no legal hold on that user.")
        yield Ask(QueryString(TURNS, user))
        yield Ask(QueryString(TITLES, user))
        return (yield from self._told(user, tell, now))

    def _told(self, user: str, tell: Tell, now: int) -> Script[str]:
        named = yield from subjects.named([(user, now)], self._vault, self._dialect, now)
        subject_id = named.known[user].id
        yield from appended([tell(subject_id)], self._vault, self._dialect)
        return subject_id


def refused(user: str) -> Script[None]:
    """Go on only where no hold is on the user, whose name is as the store keeps it.

    Raises:
        Conflict: there is one; `detail` has its reason.
    """
    for row in (yield Ask(QueryString(FIND, user))):
        raise Conflict(f"There is a legal hold on that user: {row['reason']}")
