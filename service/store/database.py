"""The door of the store: opens the database, migrated and ready.

Refuses to open half: when anything fails on the way, nothing of it stays open.
"""

from functools import partial

from piccolo.querystring import QueryString

from service.errors import DatabaseAway, DatabaseError
from service.seal.vault import Vault
from service.store.admissions import Admissions
from service.store.approvals import ApprovalStore
from service.store.audit import AuditStore
from service.store.budgets.ledger import BudgetLedger
from service.store.checkpoints import Checkpoints
from service.store.conversations import ConversationStore
from service.store.engine import StoreEngine
from service.store.erasure import Erasures
from service.store.feedback import FeedbackStore
from service.store.holds import Holds
from service.store.idempotency import IdempotencyStore
from service.store.keys import KeyStore
from service.store.leases import ConversationLeases
from service.store.migration import read_migrations
from service.store.opening import Opening
from service.store.plain import seal_plain
from service.store.postgres.engine import PoolEngine, open_pool
from service.store.postgres.location import is_server, location_of
from service.store.postgres.migrate import migrate as migrate_server
from service.store.proofs import Proofs
from service.store.pulse import Pulse
from service.store.questions import Questions
from service.store.resets import Resets
from service.store.retention import Retention
from service.store.rotation import Rotation
from service.store.sessions import SessionStore
from service.store.sqlite.engine import WalEngine
from service.store.sqlite.location import path_of, prepare
from service.store.sqlite.migrate import migrate as migrate_file
from service.store.tables import bind
from service.store.tenancy import Everybody, Whose
from service.store.unsealed import import_unsealed
from telemetry.person import parted
from telemetry.record import Caller

BUSY_TIMEOUT_MS = 5_000
NO_KEYS = Vault()


class Database:
    """An open database and the stores in it; close it to end its threads and connections."""

    def __init__(self, engine: StoreEngine, vault: Vault) -> None:
        self._engine = engine
        self.audit = AuditStore(engine, vault)
        self.keys = KeyStore(engine)
        self.conversations = ConversationStore(engine, vault)
        self.leases = ConversationLeases(engine)
        self.idempotency = IdempotencyStore(engine)
        self.sessions = SessionStore(engine)
        self.questions = Questions(engine)
        self.erasures = Erasures(engine, vault)
        self.holds = Holds(engine, vault)
        self.retention = Retention(engine, vault)
        self.rotation = Rotation(engine, vault)
        self.opening = Opening(engine, vault)
        self.checkpoints = Checkpoints(engine)
        self.proofs = Proofs(engine)
        self.budgets = BudgetLedger(engine, vault)
        self.admissions, self.pulse = Admissions(engine), Pulse(engine)
        self.resets = Resets(engine, vault)
        self.approvals = ApprovalStore(engine, vault)
        self.feedback = FeedbackStore(engine, vault)

    def questions_of(self, whose: Whose) -> Questions:
        """The questions of everybody's events, or of one tenant's."""
        return self.questions if isinstance(whose, Everybody) else self.questions.within(whose)

    async def ping(self) -> None:
        """Ask the database for a sign of life, for two seconds; does not wait for writes.

        Raises:
            DatabaseAway: It is known to be, or known to take no writes; nobody asked.
            DatabaseError: There is none.
        """
        if reason := self._engine.writing.reason:
            raise DatabaseAway(reason)
        async with self._engine.reading.looking():
            await self._engine.run_querystring(QueryString("SELECT 1"))

    async def seen_last(self, person: str, pseudonym: str) -> Caller | None:
        """Somebody who is only looked at, in the role they had last; None for nobody seen.

        Raises:
            DatabaseError: nobody could look.
        """
        role = await self.questions.role_of(person)
        if role is None:
            return None
        tenant, user_id = parted(person)
        return Caller(
            user_id=user_id, role=role, method="", credential_id="", pseudonym=pseudonym, tenant=tenant
        )

    async def close(self) -> None:
        """Finish what was accepted and end; further calls are a DatabaseError, closing again is nothing."""
        await self._engine.reading.close()
        await self._engine.writing.close()
        await self._engine.close()


async def open_database(
    url: str, vault: Vault = NO_KEYS, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS
) -> Database:
    """Open the database of a URL, make the file where there is none, and migrate it.

    Args:
        url: `sqlite:///relative/path.db`, `sqlite:////absolute/path.db` or a `postgresql://` URL.
        vault: How content is kept, and the keys to it; without keys in clear.
        busy_timeout_ms: How long one write waits for another process's write lock on a file.

    Raises:
        DatabaseError: It cannot be opened or migrated; the sentence says why, the cause has the details.
    """
    engine = await _open_server(url) if is_server(url) else await _open_file(url, busy_timeout_ms)
    try:
        bind(engine)
        database = Database(engine, vault)
        await database.ping()
        await import_unsealed(engine, database.audit)
        await seal_plain(engine, vault)
    except BaseException:
        await engine.close()
        raise
    return database


async def _open_file(url: str, busy_timeout_ms: int) -> WalEngine:
    path = path_of(url)
    prepare(path)
    engine = WalEngine(path, busy_timeout_ms)
    try:
        await engine.writer.run(partial(migrate_file, read_migrations(engine.engine_type)))
    except BaseException:
        await engine.close()
        raise
    return engine


async def _open_server(url: str) -> PoolEngine:
    location = location_of(url)
    try:
        return await _open_migrated(location.url)
    except DatabaseError as error:
        raise DatabaseError(f"{error.detail} DATABASE_URL names {location.where}.") from error.__cause__


async def _open_migrated(url: str) -> PoolEngine:
    engine = await open_pool(url)
    try:
        async with engine.lent() as line:
            await migrate_server(read_migrations(engine.engine_type), line)
        await engine.look_for_walls()
    except BaseException:
        await engine.close()
        raise
    return engine
