"""What callers said of their own turns: one rating each, a comment sealed under their key.

Refuses a turn that is not the caller's own, in the same words as one that never was.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct, structs
from piccolo.querystring import QueryString

from service.errors import NotFound
from service.seal import content
from service.seal.vault import Vault
from service.store import texts
from service.store.audit import appended
from service.store.engine import Ask, Load, Script, StoreEngine
from service.store.row import AuditRow
from service.store.tenancy import EVERYBODY, Whose
from service.store.text import storable

NOT_HERE = "There is no such turn of yours."
NONE_GIVEN = "Nothing was said of that turn."
TABLE = "feedback"
COLUMNS = ("turn_id", "user_id", "model", "trace_id", "rating", "comment", "salt", "given_at")
OWN = (
    "SELECT event.model, event.trace_id FROM audit_event AS event "
    "JOIN audit_subject AS subject ON subject.id = event.subject_id "
    "WHERE event.id = {} AND event.entity_type = 'AGENT_QUERY' AND subject.user_id = {} "
    "UNION ALL SELECT turn.model, NULL FROM conversation_turn AS turn "
    "JOIN conversation AS talk ON talk.id = turn.conversation_id "
    "WHERE turn.turn_id = {} AND talk.user_id = {}"
)
"""A turn is known by its row in the log or, before that is written, by its place in a conversation."""
KNOWN = texts.reading(
    "kept.turn_id, kept.user_id, kept.model, kept.trace_id, kept.rating, kept.comment, kept.given_at", TABLE
)
FIND = KNOWN + "WHERE kept.turn_id = {}"
REMOVE = "DELETE FROM feedback WHERE turn_id = {}"
FORGET = "DELETE FROM feedback WHERE user_id = {}"
COUNT = (
    "SELECT model, rating, COUNT(*) AS given FROM feedback WHERE given_at >= {} AND given_at < {} "
    "GROUP BY model, rating ORDER BY model, rating"
)
BEGINNING, END = 0, 1 << 62


class Feedback(Struct, frozen=True, kw_only=True):
    """What a caller said of a turn; `given_at` is microseconds since 1970 (UTC).

    `comment` is None for none, and where it cannot be read any more. `model` and `trace_id` are the turn's,
    as far as its row was written when this was given.
    """

    turn_id: str
    rating: str
    comment: str | None
    given_at: int
    model: str | None = None
    trace_id: str | None = None


class Given(Struct, frozen=True):
    """How often a model's turns were rated so; None where the model is not known."""

    model: str | None
    rating: str
    count: int


Tell = Callable[[Feedback, bytes | None], AuditRow]
"""The event of what was said, and of the commitment to its comment."""


class FeedbackStore:
    """All that callers said; every method raises DatabaseError."""

    def __init__(self, engine: StoreEngine, vault: Vault, whose: Whose = EVERYBODY) -> None:
        self._engine, self._vault, self._dialect, self._whose = engine, vault, engine.engine_type, whose

    def within(self, tenant: str | None) -> "FeedbackStore":
        """The same, whose counts are of one tenant alone."""
        return FeedbackStore(self._engine, self._vault, tenant)

    async def turn_of(self, turn_id: str, user_id: str) -> tuple[str | None, str | None]:
        """The model and the trace of a user's own turn, as far as they are known yet.

        Raises:
            NotFound: there is none, or it is another's.
        """
        values = storable(turn_id), storable(user_id)
        async with self._engine.reading.looking():
            rows = await self._engine.run_querystring(QueryString(OWN, *values, *values))
        if not rows:
            raise NotFound(NOT_HERE)
        best = max(rows, key=lambda row: row["trace_id"] is not None)
        return best["model"], best["trace_id"]

    async def give(self, user_id: str, said: Feedback, tell: Tell | None) -> None:
        """Keep what a user says of their own turn, in place of what they said before; tell the audit."""
        await self._engine.run_script(partial(self._giving, storable(user_id), said, tell))

    async def withdraw(self, user_id: str, turn_id: str, tell: Tell | None) -> Feedback:
        """Forget what a user said of a turn; gives what it was.

        Raises:
            NotFound: nothing was said, or by another.
        """
        script = partial(self._withdrawing, storable(user_id), storable(turn_id), tell)
        return await self._engine.run_script(script)

    async def find(self, turn_id: str, user_id: str | None = None) -> Feedback | None:
        """What was said of a turn, by this user where one is given; None for nothing."""
        async with self._engine.reading.looking():
            rows = await self._engine.run_querystring(QueryString(FIND, storable(turn_id)))
        known = [row for row in rows if user_id is None or row["user_id"] == storable(user_id)]
        return self._said(known[0]) if known else None

    async def count(self, since: int | None, until: int | None) -> Sequence[Given]:
        """How often models were rated up and down in a span of time, microseconds since 1970 (UTC)."""
        span = BEGINNING if since is None else since, END if until is None else until
        rows = await self._engine.ask(QueryString(COUNT, *span), self._whose)
        return [Given(row["model"], row["rating"], int(row["given"])) for row in rows]

    def _giving(self, user: str, said: Feedback, tell: Tell | None) -> Script[None]:
        turn_id, salt, comment = storable(said.turn_id), None, None
        if said.comment is not None:
            salt = content.new_salt()
            seal = partial(texts.sealed, vault=self._vault, dialect=self._dialect, now=said.given_at)
            comment = yield from seal(said.comment, _name(turn_id), user)
        yield Ask(QueryString(REMOVE, turn_id))
        row = (turn_id, user, said.model, said.trace_id, said.rating, comment, salt, said.given_at)
        yield Load(TABLE, COLUMNS, [row])
        if tell:
            commitment = content.commitment(salt, storable(said.comment or "")) if salt else None
            yield from appended([tell(said, commitment)], self._vault, self._dialect)

    def _withdrawing(self, user: str, turn_id: str, tell: Tell | None) -> Script[Feedback]:
        rows = yield Ask(QueryString(FIND, turn_id))
        if not rows or rows[0]["user_id"] != user:
            raise NotFound(NONE_GIVEN)
        said = self._said(rows[0])
        yield Ask(QueryString(REMOVE, turn_id))
        if tell:
            yield from appended([tell(structs.replace(said, comment=None), None)], self._vault, self._dialect)
        return said

    def _said(self, row: Mapping[str, Any]) -> Feedback:
        return Feedback(
            turn_id=row["turn_id"],
            rating=row["rating"],
            comment=texts.opened(row, "comment", _name(row["turn_id"]), self._vault),
            given_at=int(row["given_at"]),
            model=row["model"],
            trace_id=row["trace_id"],
        )


def forget(user: str) -> Script[None]:
    """Forget a user, whose name is as the store keeps it."""
    yield Ask(QueryString(FORGET, user))


def _name(turn_id: str) -> str:
    return f"feedback {turn_id}"
