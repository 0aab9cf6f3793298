"""parley keys rotate: a key in another's place, by the rules of the route.

Refuses to show the new key again once it is made, and to rotate what holds no longer.
"""

import argparse

import msgspec

from service.audit.row import AuditRow
from service.auth.key_terms import OVERLAP, micros_of
from service.cli import asking, state
from service.cli.asking import Desk
from service.cli.options import text
from service.cli.terminal import plain
from service.errors import NotFound
from service.web.keys import Cabinet
from service.web.parameters import Nothing
from service.web.rotation import GONE, KeyRotated, RotationBody, rotate
from telemetry.person import parted


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _rotate, Nothing)
    parser.add_argument("id", type=text, help="as `parley keys list` shows it")
    parser.add_argument("--overlap", type=_span, default=OVERLAP, help="for how long both hold (%(default)s)")
    parser.add_argument("--expires", type=_span, help="for how long the new one holds (as the earlier)")


async def _rotate(desk: Desk) -> int:
    noted: list[AuditRow] = []
    try:
        made = await _rotated(desk, noted)
    except NotFound:
        key_id = desk.given.id
        asking.show(desk, {"id": key_id, "rotated": False}, lambda: f"{plain(key_id)}: {GONE}")
        return 1
    if desk.settings.audit.enabled:
        await desk.database.audit.append(noted)
    place = f"Takes the place of {made.replaces}, which holds until {made.replaced_until}."
    words = f"{made.key}\nShown once, id {made.id}. {place}"
    asking.show(desk, msgspec.to_builtins(made), lambda: words)
    return 0


async def _rotated(desk: Desk, noted: list[AuditRow]) -> KeyRotated:
    given = desk.given
    body = RotationBody(overlap=given.overlap, expires=given.expires)
    doer = asking.doer(await _tenant_of(desk, given.id))
    return await rotate(cabinet(desk), noted.append, doer, given.id, body)


def cabinet(desk: Desk) -> Cabinet:
    """Where the keys are, for a command that does what a route does."""
    derived = state.derived(desk.settings)
    return Cabinet(desk.database.keys, derived.peppers, _nobody, derived.pseudonym)


async def _tenant_of(desk: Desk, key_id: str) -> str | None:
    """In whose tenant a key is rotated: that of whom it stands for."""
    found = await desk.database.keys.find(key_id)
    return parted(found.user_id)[0] if found else None


def _nobody(key_id: str) -> None:
    """Nobody here remembers who was let in."""
    del key_id


def _span(given: str) -> str:
    """A span, as it is written."""
    try:
        micros_of(given)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return given
