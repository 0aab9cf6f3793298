"""The record: the sinks, the audit among them with all it works with, its seal and its retention.

Refuses to start the sinks itself but in their order, and to let one that does not stop keep the others.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from logging import WARNING

from msgspec import Struct

from config.settings import Settings
from service.audit import verdict
from service.audit.checkpoints import Sealing
from service.audit.deed import Doer
from service.audit.outlets import outlets
from service.audit.retention import retain
from service.audit.routine import HOUR, Routine
from service.audit.signing import log_key
from service.audit.sink import AuditSink, Equipment
from service.auth.derive import Derived
from service.store.database import Database
from service.web.desk import Note, unnoted
from service.web.scanning import Scanning
from service.web.verification import Verifying
from telemetry import ids, log, names
from telemetry.failure import words_of
from telemetry.record import TurnRecord
from telemetry.recorder import microseconds
from telemetry.sink import Guarded, Sink, guard, load

AUDIT = "audit"
SINK_STOP_SECONDS = 2.0
AT_ONCE = (0.0, 0.0, HOUR)
"""A routine's waits where its work waits by itself."""


class Records(Struct, frozen=True):
    """The audit as the web face needs it: what proves it, and where a look at it is noted."""

    sealing: Sealing
    note: Note
    audited: AuditSink | None = None


async def build_sealing(settings: Settings, database: Database, derived: Derived) -> Sealing:
    """What signs the log's head, and tells it.

    Raises:
        SettingsError: the configured key is none.
        DatabaseError: the log does not say its name.
    """
    log_id = await database.audit.log_id()
    key = log_key(settings.audit.signing_key, derived.signing_seeds, log_id)
    return Sealing(database.checkpoints, key, outlets(settings.audit), microseconds)


def build_sinks(
    settings: Settings, database: Database, derived: Derived, sealing: Sealing
) -> dict[str, Sink]:
    """The sinks that are wanted; the audit, which is one of them, is given what it works with."""
    wanted = [name for name in settings.sinks if name != AUDIT or settings.audit.enabled]
    sinks = {name: factory(settings) for name, factory in load(wanted).items()}
    others = guard((name, each) for name, each in sinks.items() if not isinstance(each, AuditSink))
    if audited := audit_of(sinks):
        audited.equipment = Equipment(
            rows=database.audit,
            keys=derived.journals,
            tell=partial(_tell, others),
            sealing=sealing,
            finished=database.budgets.finish,
        )
    return sinks


def audit_of(sinks: Mapping[str, Sink]) -> AuditSink | None:
    """The audit, where it is one of the sinks."""
    return next((each for each in sinks.values() if isinstance(each, AuditSink)), None)


def note_of(sinks: Mapping[str, Sink]) -> Note:
    """Where a look at the audit is noted: in the audit; nowhere, where there is none."""
    audited = audit_of(sinks)
    return audited.note if audited else unnoted


def _tell(sinks: Sequence[Guarded], record: TurnRecord) -> None:
    """Tell of a turn that a dead process left."""
    for each in sinks:
        each.closed(record)


async def start(sinks: Mapping[str, Sink], rooms: AsyncExitStack, within: Callable[[float], float]) -> None:
    """Start them in order; each stops when the rooms are left, `within` says in what time."""
    for name, sink in sinks.items():
        await sink.start()
        rooms.push_async_callback(_stop, name, sink, within)


async def _stop(name: str, sink: Sink, within: Callable[[float], float]) -> None:
    try:
        async with asyncio.timeout(within(SINK_STOP_SECONDS)):
            await sink.stop()
    except Exception as error:  # noqa: BLE001 - a sink that does not stop must not stop the others
        log.say(names.SINK_FAILED, WARNING, sink=name, verb="stop", error=words_of(error))


async def keep_up(settings: Settings, database: Database, sealing: Sealing, rooms: AsyncExitStack) -> None:
    """Do what is done once a day, where the settings want it, until the rooms are left."""
    verdict.start()
    if settings.audit.verify_daily:
        await _keep_verifying(settings, database, sealing, rooms)
    if days := settings.audit.retention_days:
        await _keep_retaining(days, database, rooms)


async def _keep_verifying(
    settings: Settings, database: Database, sealing: Sealing, rooms: AsyncExitStack
) -> None:
    """Verify the whole log where this process made the day's first checkpoint.

    By a verifying of its own: nobody who asks is told to wait, or is told an older verdict, because of it.
    """
    verifying = Verifying(database, sealing.key, Scanning(settings.database_url, 1, niceness=10))

    async def verify() -> None:
        await sealing.new_day.wait()
        await verifying.report()
        sealing.new_day.clear()  # once it is done: what fails is tried again

    routine = Routine("verification", verify, AT_ONCE)
    await routine.start()
    rooms.push_async_callback(routine.stop)


async def _keep_retaining(days: int, database: Database, rooms: AsyncExitStack) -> None:
    """Remove what is older than so many days."""
    routine = Routine("retention", lambda: retain(database.retention, days, _service()))
    await routine.start()
    rooms.push_async_callback(routine.stop)


def _service() -> Doer:
    """The service itself, as who does something now."""
    return Doer(caller=None, request_id=ids.uuid7(), trace_id=None, at=microseconds())
