"""Calls of tools that wait for somebody's yes, seen by every process, and what was decided of each, once.

Refuses a second decision, one that comes too late, and everybody who may not decide.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from piccolo.querystring import QueryString

from service.errors import Conflict, Forbidden, NotFound
from service.seal.vault import Vault
from service.store import texts
from service.store.audit import appended
from service.store.engine import Ask, Load, Script, StoreEngine
from service.store.listed import listed
from service.store.row import AuditRow
from service.store.text import storable

DAY = 86_400_000_000
"""Microseconds after which a row that ran out is removed."""
MOST = 200
"""Calls that are listed: those that run out first."""
NOT_HERE = "There is no such call that waits for your decision."
TABLE = "approval"
COLUMNS = (
    *("turn_id", "call_id", "user_id", "tenant", "tool", "approvers", "arguments", "trace_id"),
    *("asked_at", "expires_at"),
)
KNOWN = texts.reading(
    "kept.turn_id, kept.call_id, kept.user_id, kept.tenant, kept.tool, kept.approvers, kept.arguments, "
    "kept.trace_id, kept.asked_at, kept.expires_at, kept.decision, "
    "EXISTS (SELECT 1 FROM audit_event AS event WHERE event.id = kept.turn_id) AS over",
    TABLE,
)
"""A turn that has its row is over: a call of a process that died waits for nobody."""
FIND = KNOWN + "WHERE kept.turn_id = {} AND kept.call_id = {}"
OPEN = KNOWN + (
    "WHERE kept.decided_at IS NULL AND kept.expires_at > {} AND COALESCE(kept.tenant, '') = {} AND "
    "CASE kept.approvers WHEN '' THEN kept.user_id = {} "
    "ELSE kept.approvers <> REPLACE(kept.approvers, {}, '') END "
    "ORDER BY kept.expires_at, kept.turn_id, kept.call_id LIMIT {}"
)
DECIDE = (
    "UPDATE approval SET decided_at = {}, decision = {}, decided_by = {}, role = {}, arguments = NULL "
    "WHERE turn_id = {} AND call_id = {} AND decided_at IS NULL"
)
HEARD = "SELECT turn_id, call_id, decision, decided_by, role FROM approval WHERE turn_id IN ({})"
WITHDRAW = "DELETE FROM approval WHERE turn_id = {} AND call_id = {} AND decided_at IS NULL"
SWEEP = "DELETE FROM approval WHERE expires_at < {}"
FORGET = "DELETE FROM approval WHERE user_id = {}"

Key = tuple[str, str]
"""Turn id and call id."""


class Waiting(Struct, frozen=True, kw_only=True):
    """One call that waits. `arguments` is JSON, None where it cannot be shown any more.

    `approvers` are the roles of which one has to decide; none: the turn's own caller does. Times are
    microseconds since 1970 (UTC).
    """

    turn_id: str
    call_id: str
    user_id: str
    tenant: str | None
    tool: str
    approvers: frozenset[str]
    arguments: str | None
    trace_id: str
    asked_at: int
    expires_at: int

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.turn_id, self.call_id


class Decider(Struct, frozen=True, kw_only=True):
    """Who decides; only the pseudonym is kept."""

    user_id: str
    role: str
    tenant: str | None
    pseudonym: str


class Decided(Struct, frozen=True, kw_only=True):
    """What became of a call: approve, deny or expired; by whom, a pseudonym in a role, where somebody did."""

    decision: str
    decided_by: str | None = None
    role: str | None = None


Tell = Callable[[Waiting], AuditRow]
"""The event of a decision; it is appended in the decision's own transaction."""


class ApprovalStore:
    """All calls that wait, or waited lately; every method raises DatabaseError."""

    def __init__(self, engine: StoreEngine, vault: Vault) -> None:
        self._engine, self._vault, self._dialect = engine, vault, engine.engine_type

    async def ask(self, waiting: Waiting) -> None:
        """Let a call wait, for everybody to see; also removes what ran out a day ago."""
        async with self._engine.writing.keeping():
            await self._engine.run_script(partial(self._asking, waiting))

    async def open_to(self, decider: Decider, now: int) -> Sequence[Waiting]:
        """What somebody may decide now, the most urgent first; at most MOST."""
        mine = decider.tenant or "", storable(decider.user_id), f" {decider.role} "
        async with self._engine.reading.looking():
            rows = await self._engine.run_querystring(QueryString(OPEN, now, *mine, MOST))
        return [self._waiting(row) for row in rows if not row["over"]]

    async def decide(self, key: Key, decider: Decider, decision: str, now: int, tell: Tell | None) -> Waiting:
        """Decide a call, once.

        Raises:
            NotFound: nothing waits there, or not for this decider.
            Forbidden: it is the decider's own turn, and others have to decide.
            Conflict: it is decided, or ran out; `detail` says what was decided.
        """
        script = partial(self._deciding, key, decider, decision, now, tell)
        return await self._engine.run_script(script)

    async def expire(self, key: Key, now: int, tell: Tell | None) -> Decided | None:
        """Close a call that nobody decided; gives what became of it, None where it is not there any more."""
        return await self._engine.run_script(partial(self._expiring, key, now, tell))

    async def heard(self, turns: Collection[str]) -> Mapping[Key, Decided | None]:
        """What became of these turns' calls so far; None of one that still waits."""
        query = QueryString(HEARD, listed(self._dialect, turns))
        async with self._engine.reading.looking():
            rows = await self._engine.run_querystring(query)
        return {(row["turn_id"], row["call_id"]): _decided(row) for row in rows}

    async def withdraw(self, key: Key) -> None:
        """Nobody waits any more: remove the call, where it is not decided."""
        async with self._engine.writing.keeping():
            await self._engine.run_querystring(QueryString(WITHDRAW, *map(storable, key)))

    def _asking(self, waiting: Waiting) -> Script[None]:
        yield Ask(QueryString(SWEEP, waiting.asked_at - DAY))
        user, (turn_id, call_id) = storable(waiting.user_id), map(storable, waiting.key)
        seal = partial(texts.sealed, vault=self._vault, dialect=self._dialect, now=waiting.asked_at)
        arguments = yield from seal(waiting.arguments or "{}", _name(turn_id, call_id), user)
        roles = "".join(f" {role} " for role in sorted(waiting.approvers))
        told = waiting.trace_id, waiting.asked_at, waiting.expires_at
        row = (turn_id, call_id, user, waiting.tenant, storable(waiting.tool), roles, arguments, *told)
        yield Load(TABLE, COLUMNS, [row])

    def _deciding(
        self, key: Key, decider: Decider, decision: str, now: int, tell: Tell | None
    ) -> Script[Waiting]:
        found = yield Ask(QueryString(FIND, *map(storable, key)))
        if not found:
            raise NotFound(NOT_HERE)
        (row,) = found
        waiting = self._waiting(row)
        _admit(waiting, decider)
        if row["decision"]:
            raise Conflict(f"It is decided already: {row['decision']}.")
        if row["over"]:
            raise NotFound(NOT_HERE)
        if waiting.expires_at <= now:
            raise Conflict("It is decided already: expired.")
        told = decision, decider.pseudonym, decider.role
        yield from self._closing(waiting, now, told, tell)
        return waiting

    def _expiring(self, key: Key, now: int, tell: Tell | None) -> Script[Decided | None]:
        found = yield Ask(QueryString(FIND, *map(storable, key)))
        if found and not found[0]["decision"]:
            yield from self._closing(self._waiting(found[0]), now, ("expired", None, None), tell)
        heard = yield Ask(QueryString(HEARD, listed(self._dialect, [storable(key[0])])))
        return next((_decided(row) for row in heard if row["call_id"] == storable(key[1])), None)

    def _closing(
        self, waiting: Waiting, now: int, told: tuple[str, str | None, str | None], tell: Tell | None
    ) -> Script[None]:
        yield Ask(QueryString(DECIDE, now, *told, *waiting.key))
        if tell:
            yield from appended([tell(waiting)], self._vault, self._dialect)

    def _waiting(self, row: Mapping[str, Any]) -> Waiting:
        known = {name: row[name] for name in Waiting.__struct_fields__}
        name = _name(row["turn_id"], row["call_id"])
        known["arguments"] = texts.opened(row, "arguments", name, self._vault)
        known["approvers"] = frozenset(str(row["approvers"]).split())
        return msgspec.convert(known, Waiting)


def forget(user: str) -> Script[None]:
    """Forget a user, whose name is as the store keeps it."""
    yield Ask(QueryString(FORGET, user))


def _admit(waiting: Waiting, decider: Decider) -> None:
    """Let somebody decide; raises NotFound or Forbidden."""
    own = storable(decider.user_id) == waiting.user_id
    if decider.tenant != waiting.tenant:
        raise NotFound(NOT_HERE)
    if decider.role in waiting.approvers or (own and not waiting.approvers):
        return
    if own:
        raise Forbidden(f"Somebody in another role has to decide: {', '.join(sorted(waiting.approvers))}.")
    raise NotFound(NOT_HERE)


def _decided(row: Mapping[str, Any]) -> Decided | None:
    if row["decision"] is None:
        return None
    return Decided(decision=row["decision"], decided_by=row["decided_by"], role=row["role"])


def _name(turn_id: str, call_id: str) -> str:
    return f"approval {turn_id} {call_id}"
