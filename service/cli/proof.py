"""parley audit prove, key; and what verifies the log as it lies in the database.

Refuses to trust a key that came with the log where another is given.
"""

import argparse
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from service.audit.access import Look
from service.audit.checkpoints import Sealing
from service.audit.outlets import outlets
from service.audit.signing import LogKey, log_key
from service.audit.verify import Keys, Report, Verifier
from service.cli import asking, state
from service.cli.asking import Desk
from service.cli.options import text
from service.cli.terminal import encoded
from service.web.checkpoints import key_told, keys_of
from service.web.parameters import Nothing
from service.web.proofs import Prover
from service.web.scanning import Scanning
from service.web.whole_log import verify_log
from telemetry.recorder import microseconds

OWN_KEY = "parley: verified by this installation's own key; a key kept elsewhere (--public-key) proves more\n"


def add_prove(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _prove, Nothing)
    parser.add_argument("id", type=text, help="the event's id")


def add_key(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _key, Nothing)


@asynccontextmanager
async def proving(desk: Desk) -> AsyncGenerator[Prover]:
    """What proves events; a checkpoint that it makes is told as the service would."""
    sealing = Sealing(
        desk.database.checkpoints, await _log_key(desk), outlets(desk.settings.audit), microseconds
    )
    try:
        yield Prover(desk.database, sealing)
    finally:
        await sealing.close()


async def verified(desk: Desk, verifiers: Sequence[Verifier], outside: Sequence[str]) -> Report:
    """The verdict on the whole log, by keys and checkpoints kept elsewhere, or by this installation's key."""
    own = await _log_key(desk)
    keys = Keys(verifiers, own.origin) if verifiers else keys_of(own)
    if not verifiers:
        sys.stderr.write(OWN_KEY)
    scanning = Scanning(desk.settings.database_url, os.cpu_count() or 1)
    return await verify_log(desk.database, keys, outside, scanning)


async def _prove(desk: Desk) -> int:
    found = await desk.database.questions.event(desk.given.id)
    async with proving(desk) as prover:
        proven = found and await prover.prove(found, salted=True)
    if proven is None:
        sys.stderr.write("parley: there is no audit event of that id\n")
        return 1
    await asking.note(desk, Look.READ, "parley audit prove", proven.id)
    told = await desk.database.opening.one(proven)
    asking.show(desk, told, lambda: encoded(told, indent=2))
    return 0


async def _key(desk: Desk) -> int:
    told = key_told(await _log_key(desk))
    asking.show(desk, told, lambda: told.public_key.rstrip("\n"))
    return 0


async def _log_key(desk: Desk) -> LogKey:
    seeds, log_id = state.derived(desk.settings).signing_seeds, await desk.database.audit.log_id()
    return log_key(desk.settings.audit.signing_key, seeds, log_id)
