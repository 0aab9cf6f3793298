"""Forgetting a person: texts, name, key, conversations, kept answers, API keys and budgets go; events stay.

Refuses somebody under legal hold, and a name that nobody has. What lingers in the database's files is
`scrub`'s part.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from piccolo.querystring import QueryString

from service.errors import NotFound
from service.seal.vault import Vault
from service.store import approvals, feedback, holds, resets, sessions, subjects
from service.store.audit import appended
from service.store.budgets import books
from service.store.engine import Ask, Script, StoreEngine
from service.store.lexicon import unlisted
from service.store.postgres.engine import TRANSACTIONS
from service.store.row import AuditRow
from service.store.scrub import PATIENCE, Scrubbed, scrub
from service.store.text import storable

NOBODY = "There is nobody of that name."
STEP = 5_000
"""Texts that go in one transaction; of somebody who wrote more, the oldest go in transactions before."""
REMEMBERED = 30 * 86_400_000_000
"""Microseconds for which a digest of the name is kept, so that what is still in a journal loses its text."""

KNOWN = (
    "SELECT (SELECT id FROM audit_subject WHERE user_id = {}) AS id, "
    "EXISTS (SELECT 1 FROM conversation WHERE user_id = {}) AS talked, "
    "EXISTS (SELECT 1 FROM idempotency_claim WHERE user_id = {}) AS claimed, "
    "EXISTS (SELECT 1 FROM api_key WHERE user_id = {}) AS keyed, "
    "EXISTS (SELECT 1 FROM session WHERE user_id = {}) AS signed_in"
)
TEXTS = (
    "SELECT log_index, query FROM audit_content WHERE subject_id = {} AND log_index > {} "
    "AND (query IS NOT NULL OR sealed IS NOT NULL OR salt IS NOT NULL) ORDER BY log_index LIMIT {}"
)
EMPTY: Mapping[str, str] = MappingProxyType(
    {
        "sqlite": "UPDATE audit_content SET query = NULL, sealed = NULL, salt = NULL "
        "WHERE subject_id = {} AND log_index BETWEEN {} AND {}",
        "postgres": "UPDATE audit_content SET query = NULL, sealed = NULL, salt = NULL, words = NULL "
        "WHERE subject_id = {} AND log_index BETWEEN {} AND {}",
    }
)
ARGUMENTS = "DELETE FROM audit_arguments WHERE subject_id = {}"
RAW = "UPDATE audit_quarantine SET raw = NULL WHERE subject_id = {} AND raw IS NOT NULL"
SUBJECT = "DELETE FROM audit_subject WHERE id = {}"
EVENTS = "SELECT count(*) AS events FROM audit_event WHERE subject_id = {}"
TURNS = (
    "DELETE FROM conversation_turn WHERE conversation_id IN (SELECT id FROM conversation WHERE user_id = {})"
)
CONVERSATIONS = "DELETE FROM conversation WHERE user_id = {} RETURNING id"
ANSWERS = "DELETE FROM idempotency_claim WHERE user_id = {} RETURNING id"
BUDGETS = "DELETE FROM budget_ledger WHERE scope = 'user' AND subject = {}"
KEYS = "DELETE FROM api_key WHERE user_id = {} RETURNING id"
REMEMBER = (
    "INSERT INTO audit_erased (user_digest, erased_at) VALUES ({}, {}) "
    "ON CONFLICT (user_digest) DO UPDATE SET erased_at = excluded.erased_at"
)
FORGET = "DELETE FROM audit_erased WHERE erased_at < {}"
ALONE = QueryString(f"SELECT pg_advisory_xact_lock({TRANSACTIONS})")
"""On a server: no transaction of the stores runs meanwhile, such as one that keeps a conversation."""


class Forgotten(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was forgotten: how many events lost text and name, and what went whole.

    `answers` are those kept for repeated requests.
    """

    subject_id: str
    events: int
    conversations: int
    answers: int
    api_keys: int


Tell = Callable[[Forgotten], AuditRow]
"""The event that says so; it is appended in the transaction of the erasure."""


class Erasures:
    """Forgets people, one transaction each.

    `step` is how many texts go in one at most, `patience` how many seconds `scrub` waits for others.
    """

    def __init__(
        self, engine: StoreEngine, vault: Vault, *, step: int = STEP, patience: float = PATIENCE
    ) -> None:
        self._engine, self._vault, self._dialect = engine, vault, engine.engine_type
        self._step, self._patience = step, patience

    async def erase(self, user_id: str, tell: Tell, now: int) -> Forgotten:
        """Forget a user; `now` is microseconds since 1970 (UTC).

        What this user asked up to `now` and is still under way to the database loses name and text there.

        Raises:
            NotFound: nobody knows that name.
            Conflict: it is under legal hold; `detail` has the reason.
            DatabaseError: it is not done, or nobody knows; of many texts some may be gone.
        """
        user, place = storable(user_id), -1
        while place is not None:
            place = await self._engine.run_script(partial(self._thinning, user, place))
        return await self._engine.run_script(partial(self._erasing, user, tell, now))

    async def scrub(self) -> Scrubbed:
        """Clear the database's files of what was erased; raises DatabaseError where nothing could be done."""
        return await scrub(self._engine, self._patience)

    def _thinning(self, user: str, place: int) -> Script[int | None]:
        """Take texts out that are too many for one transaction; gives the last place, None with few left."""
        subject_id = yield from self._subject(user)
        texts = yield Ask(QueryString(TEXTS, subject_id, place, self._step + 1))
        if len(texts) <= self._step:
            return None
        yield from self._emptied(subject_id, texts[: self._step])
        return int(texts[self._step - 1]["log_index"])

    def _erasing(self, user: str, tell: Tell, now: int) -> Script[Forgotten]:
        if self._dialect == "postgres":
            yield Ask(ALONE)
        subject_id = yield from self._subject(user)
        yield from self._emptied(subject_id, (yield Ask(QueryString(TEXTS, subject_id, -1, 2 * self._step))))
        yield Ask(QueryString(ARGUMENTS, subject_id))
        yield Ask(QueryString(RAW, subject_id))
        (counted,) = yield Ask(QueryString(EVENTS, subject_id))
        yield Ask(QueryString(SUBJECT, subject_id))
        forgotten = yield from _taken(user, subject_id, int(counted["events"]))
        yield from self._remembered(user, now)
        yield from books.lock(self._dialect)
        yield Ask(QueryString(BUDGETS, subject_id))
        yield from appended([tell(forgotten)], self._vault, self._dialect)
        return forgotten

    def _subject(self, user: str) -> Script[str]:
        """The user's random id; one that was never used where the audit does not know this user."""
        yield from holds.refused(user)
        (known,) = yield Ask(QueryString(KNOWN, user, user, user, user, user))
        if not any(known.values()):
            raise NotFound(NOBODY)
        return str(known["id"] or subjects.new_id())

    def _emptied(self, subject_id: str, texts: Sequence[Mapping[str, Any]]) -> Script[None]:
        if not texts:
            return
        yield from unlisted(self._dialect, texts)
        span = texts[0]["log_index"], texts[-1]["log_index"]
        yield Ask(QueryString(EMPTY[self._dialect], subject_id, *span))

    def _remembered(self, user: str, now: int) -> Script[None]:
        for digest in self._vault.digests(user):
            yield Ask(QueryString(REMEMBER, digest, now))
        yield Ask(QueryString(FORGET, now - REMEMBERED))


def _taken(user: str, subject_id: str, events: int) -> Script[Forgotten]:
    """Take out what is the user's own beside the audit."""
    yield Ask(QueryString(TURNS, user))
    conversations = yield Ask(QueryString(CONVERSATIONS, user))
    answers = yield Ask(QueryString(ANSWERS, user))
    keys = yield Ask(QueryString(KEYS, user))
    yield from resets.forget(user)
    yield from approvals.forget(user)
    yield from feedback.forget(user)
    yield from sessions.forget(user)
    return Forgotten(
        subject_id=subject_id,
        events=events,
        conversations=len(conversations),
        answers=len(answers),
        api_keys=len(keys),
    )
