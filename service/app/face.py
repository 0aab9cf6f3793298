"""The web face: span, envelope, Litestar, and which room answers which route.

Refuses to decide anything: rooms are handed what they need.
"""

import os
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
from service.app.operations import build_board, watching_routes
from service.app.records import Records
from service.app.telling import telling_routes
from service.audit.checkpoints import Sealing
from service.auth.authenticator import Authenticator
from service.auth.derive import Derived
from service.auth.guessing import Guesses
from service.limits import Gate
from service.store.database import Database
from service.web import (
    approvals,
    audit,
    chat,
    console,
    conversations,
    feedback,
    health,
    house_rules,
    keys,
    limits,
    problems,
    resumed,
    rotation,
    sessions,
    tokens,
    usage,
)
from service.web.acquaintances import Acquaintances, Identify
from service.web.address import Origin
from service.web.archive import Archive
from service.web.console.headers import for_paths
from service.web.console.offices import Offices
from service.web.console.pages import Pages
from service.web.cursor import Cursors
from service.web.desk import Asking, Desk
from service.web.envelope import Envelope
from service.web.erasures import Erasing
from service.web.guessing import Porter
from service.web.health import Check
from service.web.house_rules import HouseRules
from service.web.idempotency import Keys
from service.web.keys import Cabinet
from service.web.methods import telling
from service.web.opinions import joining
from service.web.proofs import Prover
from service.web.scanning import Scanning
from service.web.schema import page as schema
from service.web.server_span import led, traced
from service.web.session import credentials_of
from service.web.sessions import Opened
from service.web.threshold import Threshold
from service.web.tokens import Revoking
from service.web.verification import Verifying
from telemetry.providers import instruments
from telemetry.record import Caller
from telemetry.recorder import microseconds


class Doors(Struct, frozen=True):
    """What a request passes: who asks, and how much they may."""

    who: Authenticator
    gate: Gate
    settings: Callable[[], Sequence[Row]] = tuple
    live: frozenset[str] = frozenset()


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
    porter, identify = _porter(settings), met.remembering(door.identify)
    pages = console_pages(settings, doors.gate)
    desk = Desk(partial(_who, identify), records.note, microseconds)
    board = build_board(settings, turns, database, records.audited, checks, doors.gate)
    offices = _offices(settings, database, derived, doors)
    archive = _archive(settings, database, Cursors(derived.cursors), desk, records.sealing, door)
    talk = _talk(settings, turns, identify, database, porter)
    litestar = _litestar(
        pages,
        porter,
        *_chatting(settings, turns, talk, database, desk),
        *_asking(turns, database, derived, doors.gate, desk),
        *archive.routes(desk),
        *_administering(offices, desk),
        *console_routes(pages, settings, database, derived, door, desk, offices),
        *console.audit_routes(pages, archive, desk),
        *telling_routes(pages, settings, database, derived, archive, desk),
        *watching_routes(pages, board, derived.pseudonym, desk),
        *_open(checks, turns),
    )
    return _faced(settings, litestar, turns, met, talk, porter)


def _talk(
    settings: Settings, turns: Turns, identify: Identify, database: Database, porter: Porter
) -> chat.Chat:
    """What answers by a turn."""
    keys = Keys(database.idempotency, settings.model.turn_timeout_ms)
    return chat.Chat(turns, identify, keys, settings, porter)


def _litestar(pages: Pages, porter: Porter, *routes: HTTPRouteHandler) -> Litestar:
    """The application: routes, and how it tells what goes wrong."""
    return Litestar(
        route_handlers=telling(list(routes)),
        exception_handlers={Exception: porter.watching(console.refusing(pages, problems.answer))},
        logging_config=None,
        openapi_config=None,
        request_max_body_size=chat.MAX_BODY,
    )


def _faced(
    settings: Settings, litestar: Litestar, turns: Turns, met: Acquaintances, talk: chat.Chat, porter: Porter
) -> Any:
    """What stands around the application: the threshold, the headers of every answer, the span."""
    most = settings.max_body_bytes
    threshold = Threshold(litestar, turns, met, most=most, chat=talk, porter=porter)
    envelope = Envelope(threshold, for_paths(secure=_secure(settings)))
    return traced(envelope, litestar) if instruments(os.environ) else led(envelope)


def _porter(settings: Settings) -> Porter:
    return Porter(Guesses(settings.auth_failures), Origin(settings.trusted_proxies))


def _secure(settings: Settings) -> bool:
    """Whether people come by TLS only."""
    return settings.environment != "development"


def _chatting(
    settings: Settings, turns: Turns, talk: chat.Chat, database: Database, desk: Desk
) -> list[HTTPRouteHandler]:
    """The routes of turns."""
    return [
        chat.route(talk),
        resumed.route(turns.resuming, desk, settings.streams.keepalive_ms / 1000),
        *approvals.routes(turns.approvers, desk),
        *feedback.routes(database.feedback, desk),
    ]


def _asking(
    turns: Turns, database: Database, derived: Derived, gate: Gate, desk: Desk
) -> list[HTTPRouteHandler]:
    """The routes that ask what is kept."""
    cursors = Cursors(derived.cursors)
    return [
        *usage.routes(database.questions, desk),
        *conversations.routes(database.conversations, turns.memory.hide, cursors, desk),
        *limits.routes(gate, partial(_known, database, derived), desk),
    ]


def _archive(
    settings: Settings,
    database: Database,
    cursors: Cursors,
    desk: Desk,
    sealing: Sealing,
    door: Authenticator,
) -> Archive:
    """The audit as it is shown."""
    asked, prover = database.questions, Prover(database, sealing)
    scanning = Scanning(settings.database_url, 1, niceness=10)
    return Archive(
        audit.auditing(asked, cursors, desk, prover, database.opening, joining(database.feedback)),
        Verifying(database, sealing.key, scanning),
        Erasing(database.erasures, door.forget),
    )


def _offices(settings: Settings, database: Database, derived: Derived, doors: Doors) -> Offices:
    """Who is let in, and by what rules: for routes and pages."""
    door, name = doors.who, derived.pseudonym
    cabinet = Cabinet(database.keys, derived.peppers, door.drop_key, name)
    return Offices(
        Opened(database.sessions, door.sessions, name, _secure(settings)),
        cabinet,
        HouseRules(doors.settings, lambda: doors.gate.rules.limits, doors.live),
        Revoking(door.sessions, cabinet, door.forget),
    )


def _administering(offices: Offices, desk: Desk) -> list[HTTPRouteHandler]:
    """The routes about who is let in, and by what rules."""
    return [
        *sessions.routes(offices.sessions, desk),
        *keys.routes(offices.keys, desk),
        rotation.route(offices.keys, desk),
        tokens.route(offices.revoking, desk),
        *house_rules.routes(offices.rules, desk),
    ]


def _open(checks: Mapping[str, Check], turns: Turns) -> list[HTTPRouteHandler]:
    """The routes that everybody may take."""
    return [*schema.routes(), *health.routes(checks, lambda: turns.leaving)]


async def _known(database: Database, derived: Derived, user: str) -> Caller | None:
    """Somebody who is only looked at."""
    return await database.seen_last(user, derived.pseudonym(user))


async def _who(identify: Identify, request: Asking) -> Caller:
    return await identify(credentials_of(request))
