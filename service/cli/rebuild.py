"""parley limits rebuild: make the ledger of budgets fit the audit's events, and say where it did not.

Refuses to change it unseen: what it corrects is an event of its own.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from service.audit.deed import Doer
from service.audit.rebuilt import rebuilt
from service.audit.retention import cutoff_of
from service.cli import asking
from service.cli.asking import Desk
from service.cli.terminal import plain
from service.web.parameters import Nothing
from telemetry.recorder import microseconds

MILLION = 1_000_000


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _rebuild, Nothing)
    parser.add_argument("--dry-run", action="store_true", help="only say what does not fit; then exit 1")


async def _rebuild(desk: Desk) -> int:
    now, days, dry = microseconds(), desk.settings.audit.retention_days, desk.given.dry_run
    since = cutoff_of(days, now) if days else 0
    tell = None if dry else partial(_row, asking.doer())
    found = await desk.database.budgets.rebuild(now, tell, since)
    accounts: list[dict[str, Any]] = msgspec.to_builtins(found)
    told = {"accounts": accounts, "drift": sum(each.drift for each in found), "dryRun": dry}
    asking.show(desk, told, lambda: _words(accounts, dry=dry))
    return 1 if dry and found else 0


def _row(doer: Doer, found: Sequence[Any]) -> Any:
    return rebuilt(doer, msgspec.to_builtins(found))


def _words(accounts: Sequence[dict[str, Any]], *, dry: bool) -> str:
    if not accounts:
        return "the ledger fits the events"
    last = "nothing was changed" if dry else "corrected"
    return "\n".join([*map(_line, accounts), last])


def _line(each: dict[str, Any]) -> str:
    name = f"{each['scope']} {plain(each['subject'])}".rstrip()
    return (
        f"{name} {each['period']}: spent {_dollars(each['spent'])}, events say "
        f"{_dollars(each['shouldSpent'])}; put aside {_dollars(each['reserved'])}, "
        f"reservations say {_dollars(each['shouldReserved'])}"
    )


def _dollars(micros: int) -> str:
    return f"${micros / MILLION:.6f}"
