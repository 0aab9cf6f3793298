"""parley limits reset: have what is counted for a user forgotten; money that is spent stays spent.

Refuses a user nobody has seen.
"""

import argparse
import sys

from service.audit import allowances
from service.cli import asking, counted
from service.cli.asking import Desk
from service.cli.options import add_tenant, text
from service.cli.terminal import plain
from service.limits.store import StoreAway
from service.store.resets import Reset
from service.web.parameters import Nothing
from telemetry import ids
from telemetry.record import Caller

SOON = "every running service forgets what it counted within a second or two"
DONE = "what was counted is forgotten"


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _reset, Nothing)
    parser.add_argument("user", type=text, help="whose")
    add_tenant(parser, "the tenant that the user belongs to")


async def _reset(desk: Desk) -> int:
    caller = await counted.caller_of(desk, desk.given.user)
    if caller is None:
        sys.stderr.write("parley: there is no user of that name\n")
        return 1
    kind = counted.kind_of(desk.settings.limits)
    try:
        await (_in_memory if kind == "memory" else _shared)(desk, caller)
    except StoreAway:
        sys.stderr.write("parley: the store of the limits does not answer; nothing was forgotten\n")
        return 2
    told = {"subject": caller.user_id, "role": caller.role, "store": kind, "reset": True}
    words = SOON if kind == "memory" else DONE
    asking.show(desk, told, lambda: f"{plain(caller.user_id)}: {words}")
    return 0


async def _in_memory(desk: Desk, caller: Caller) -> None:
    """Tell the services, which look for it; and the audit, in one transaction."""
    doer = asking.doer(caller.tenant)
    reset = Reset(id=ids.uuid7(), user_id=caller.user_id, role=caller.role, tenant=caller.tenant, at=doer.at)
    row = allowances.reset(doer, caller.pseudonym, caller.role)
    await desk.database.resets.tell(reset, row if desk.settings.audit.enabled else None)


async def _shared(desk: Desk, caller: Caller) -> None:
    demand = counted.rules_of(desk.settings).of_caller(caller)
    await counted.shared(desk.settings.limits, lambda store: store.reset(demand))
    if desk.settings.audit.enabled:
        row = allowances.reset(asking.doer(caller.tenant), caller.pseudonym, caller.role)
        await desk.database.audit.append([row])
