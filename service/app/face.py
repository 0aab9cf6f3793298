"""The web face: span, envelope, Litestar, and which room answers which route.

Refuses to decide anything: rooms are handed what they need.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from config.settings import Settings
from config.table import Row
from service.agent.turns import Turns
from service.app.console import console_pages, console_routes
from service.app.operations import build_board
from service.app.records import Records
from service.audit.checkpoints import Sealing
from service.audit.sink import AuditSink
from service.auth.authenticator import Authenticator
from service.auth.derive import Derived
from service.limits import Gate
from service.store.database import Database
from service.web import (
    approvals,
    audit,
    chat,
    console,
    conversations,
    erasures,
    feedback,
    health,
    house_rules,
    keys,
    limits,
    operations,
    problems,
    resumed,
    sessions,
    usage,
    verification,
)
from service.web.acquaintances import Acquaintances
from service.web.ask import Identify
from service.web.console import operations as operations_page
from service.web.cursor import Cursors
from service.web.desk import Asking, Desk
from service.web.envelope import Envelope
from service.web.health import Check
from service.web.idempotency import Keys
from service.web.keys import Cabinet
from service.web.opinions import joining
from service.web.proofs import Prover
from service.web.scanning import Scanning
from service.web.schema import page as schema
from service.web.server_span import traced
from service.web.session import credentials_of
from service.web.sessions import Opened
from service.web.stall import impatient
from service.web.threshold import Threshold
from service.web.verification import Verifying
from telemetry.record import Caller
from telemetry.recorder import microseconds


class Doors(Struct, frozen=True):
    """What a request passes: who asks, and how much they may."""

    who: Authenticator
    gate: Gate
    settings: Callable[[], Sequence[Row]] = tuple


def build_app(
    settings: Settings,
    turns: Turns,
    database: Database,
    derived: Derived,
    records: Records,
    checks: Mapping[str, Check],
    doors: Doors,
) -> Any:
    """The web face: span, envelope, Litestar."""
    door, met = doors.who, Acquaintances()
    pages = console_pages(settings, doors.gate)
    desk = Desk(partial(_who, door), records.note, microseconds)
    lookout = _lookout(settings, turns, database, derived, records.audited, checks, doors.gate)
    litestar = Litestar(
        route_handlers=[
            *_chatting(settings, turns, met.remembering(door.identify), database, desk),
            *_asking(turns, database, Cursors(derived.cursor), desk),
            *limits.routes(doors.gate, partial(_known, database, derived), desk),
            *_proving(database, Cursors(derived.cursor), desk, records.sealing, settings.database_url),
            *erasures.routes(database.erasures, desk, door.forget),
            *_administering(database, derived, desk, doors, secure=_secure(settings)),
            *console_routes(pages, settings, database, derived, door, desk),
            *operations.routes(lookout, desk),
            operations_page.route(pages, lookout, desk),
            *schema.routes(),
            *health.routes(checks, lambda: turns.leaving),
        ],
        exception_handlers={Exception: console.refusing(pages, problems.answer)},
        logging_config=None,
        openapi_config=None,
        request_max_body_size=chat.MAX_BODY,
    )
    face = traced(Envelope(Threshold(litestar, turns, met, most=settings.max_body_bytes)), litestar)
    return impatient(face, settings.streams.stall_ms / 1000)


def _chatting(
    settings: Settings, turns: Turns, identify: Identify, database: Database, desk: Desk
) -> list[HTTPRouteHandler]:
    """The routes of turns."""
    keys = Keys(database.idempotency, settings.model.turn_timeout_ms)
    return [
        chat.route(turns, identify, keys, settings),
        resumed.route(turns.resuming, desk, settings.streams.keepalive_ms / 1000),
        *approvals.routes(turns.approvers, desk),
        *feedback.routes(database.feedback, desk),
    ]


def _secure(settings: Settings) -> bool:
    """Whether cookies go by TLS only."""
    return settings.environment != "development"


def _asking(turns: Turns, database: Database, cursors: Cursors, desk: Desk) -> list[HTTPRouteHandler]:
    """The routes that ask what is kept."""
    return [
        *usage.routes(database.questions, desk),
        *conversations.routes(database.conversations, turns.memory.hide, cursors, desk),
    ]


def _proving(
    database: Database, cursors: Cursors, desk: Desk, sealing: Sealing, url: str
) -> list[HTTPRouteHandler]:
    """The audit's routes."""
    return [
        *audit.routes(
            *(database.questions, cursors, desk, Prover(database, sealing), database.opening),
            join=joining(database.feedback),
        ),
        *verification.routes(Verifying(database, sealing.key, Scanning(url, 1, niceness=10)), desk),
    ]


def _administering(
    database: Database, derived: Derived, desk: Desk, doors: Doors, *, secure: bool
) -> list[HTTPRouteHandler]:
    """The routes about who is let in, and by what rules."""
    door, name = doors.who, derived.pseudonym
    return [
        *sessions.routes(Opened(database.sessions, door.sessions, name, secure), desk),
        *keys.routes(Cabinet(database.keys, derived.pepper, door.drop_key, name), desk),
        *house_rules.routes(doors.settings, lambda: doors.gate.rules.limits, desk),
    ]


def _lookout(
    settings: Settings,
    turns: Turns,
    database: Database,
    derived: Derived,
    audited: AuditSink | None,
    checks: Mapping[str, Check],
    gate: Gate,
) -> operations.Lookout:
    """The board of operators, and how users are called on it."""
    board = build_board(settings, turns, database, audited, checks, lambda: gate.rules.limits)
    return operations.Lookout(board, derived.pseudonym)


async def _known(database: Database, derived: Derived, user: str) -> Caller | None:
    """Somebody who is only looked at."""
    return await database.seen_last(user, derived.pseudonym(user))


async def _who(door: Authenticator, request: Asking) -> Caller:
    return await door.identify(credentials_of(request))
