"""Whom the board of operators asks: the log, the checks, the audit of this process, and who tells alarms.

Refuses to count or to judge: it hands over whom to ask.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from litestar.handlers import HTTPRouteHandler

from config.settings import Settings
from service.agent.turns import Turns
from service.audit import verdict
from service.audit.sink import AuditSink
from service.errors import DatabaseError
from service.limits import Gate
from service.store.database import Database
from service.web import operations
from service.web.console import operations as page
from service.web.console.pages import Pages
from service.web.desk import Desk
from service.web.health import Check
from service.web.operations import Board, Standing
from service.web.operations.views import AuditState, FiringAlert, ProcessState
from telemetry import queues
from telemetry.alarms.alarm import Notice
from telemetry.alarms.minutes import standing
from telemetry.alarms.sink import FOLDER
from telemetry.timestamp import timestamp

SECOND = 1_000_000


def build_board(
    settings: Settings,
    turns: Turns,
    database: Database,
    audited: AuditSink | None,
    checks: Mapping[str, Check],
    gate: Gate,
) -> Board:
    """The board; it reads nothing before somebody looks."""
    asked = Standing(
        pulse=database.pulse,
        checks=checks,
        limits=lambda: gate.rules.limits,
        audit=partial(_audit, database, audited),
        process=partial(_process, turns),
        alerts=partial(_alerts, Path(settings.audit.journal_dir) / FOLDER),
    )
    return Board(asked)


def watching_routes(
    pages: Pages, board: Board, pseudonym: Callable[[str], str], desk: Desk
) -> list[HTTPRouteHandler]:
    """The board for programs, and as a page."""
    lookout = operations.Lookout(board, pseudonym)
    return [*operations.routes(lookout, desk), page.route(pages, lookout, desk)]


async def _audit(database: Database, audited: AuditSink | None) -> tuple[AuditState, int | None]:
    """The record as it stands; of the database what was known before, while that is away."""
    newest, quarantined, rows = None, 0, 0
    with suppress(DatabaseError):
        latest = await database.checkpoints.latest()
        newest = latest.at if latest else None
        quarantined, rows = await database.audit.quarantined(), await database.pulse.head()
    waiting = audited.book.waiting() if audited else None
    told = AuditState(
        enabled=audited is not None,
        rows=rows,
        quarantined=quarantined,
        checkpoint=_time(newest),
        waiting=waiting.rows if waiting else 0,
        oldest=_time(waiting.oldest) if waiting and waiting.rows else None,
        balance=audited.book.ledger.balance if audited else 0,
        fault=audited.fault if audited else "",
        verified=_time(verdict.last.at),
        valid=verdict.last.valid,
    )
    return told, newest


def _process(turns: Turns) -> ProcessState:
    return ProcessState(number=os.getpid(), running=turns.running, queues=dict(queues.waiting()))


async def _alerts(folder: Path) -> Sequence[FiringAlert]:
    return tuple(map(_alert, await asyncio.to_thread(standing, folder, time.time())))


def _alert(notice: Notice) -> FiringAlert:
    alarm = notice.alarm
    return FiringAlert(
        name=alarm.name,
        severity=alarm.severity,
        summary=alarm.summary,
        since=timestamp(round(notice.started * SECOND)),
        runbook=alarm.runbook,
        labels=alarm.more,
    )


def _time(moment: int | None) -> str | None:
    return None if moment is None else timestamp(moment)
