"""parley audit retain, rotate-keys: remove old events; bring everything under a new master key.

Refuses to guess an age: it is given, or AGENT_AUDIT_RETENTION_DAYS says it.
"""

import argparse
import sys
from functools import partial
from typing import Any

from msgspec import structs

from service.audit import rotation
from service.audit.deed import Doer
from service.audit.retention import cutoff_of, retain
from service.cli import asking
from service.cli.asking import Desk
from service.store.rotation import Rotated
from service.web.parameters import Nothing
from telemetry.recorder import microseconds
from telemetry.timestamp import timestamp

MOST_DAYS, DIGITS = 36_500, 5


def add_retain(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _retain, Nothing)
    parser.add_argument("--days", type=_days, help="how old; AGENT_AUDIT_RETENTION_DAYS where not given")
    parser.add_argument("--dry-run", action="store_true", help="only count them")


def add_rotate(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _rotate, Nothing)


async def _retain(desk: Desk) -> int:
    days = desk.given.days or desk.settings.audit.retention_days
    if days is None:
        sys.stderr.write("parley: say how old by --days or AGENT_AUDIT_RETENTION_DAYS\n")
        return 2
    store, cutoff = desk.database.retention, cutoff_of(days, microseconds())
    dry = desk.given.dry_run
    events = await store.due(cutoff) if dry else await retain(store, days, asking.doer())
    told = {"events": events, "days": days, "cutoff": timestamp(cutoff), "dryRun": dry}
    words = "events would be removed" if dry else "events removed"
    asking.show(desk, told, lambda: f"{events} {words}: those from before {told['cutoff']}")
    return 0


async def _rotate(desk: Desk) -> int:
    done = await desk.database.rotation.rotate(partial(_row, asking.doer()))
    words = (
        f"{done.data_keys} data keys wrapped anew, {done.contents} texts and {done.quarantined} rows sealed "
        f"anew, {done.unreadable} unreadable with the keys there are"
    )
    asking.show(desk, done, lambda: words)
    return 1 if done.unreadable else 0


def _row(doer: Doer, key_id: str, done: Rotated) -> Any:
    counts = {name: each for name, each in structs.asdict(done).items() if name != "unreadable"}
    return rotation.rotated(doer, key_id, **counts)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS and 1 <= int(text) <= MOST_DAYS):
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {MOST_DAYS}")
    return int(text)
