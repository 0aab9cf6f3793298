"""parley migrate: bring the database to this version's form, as `serve` does too; say what roles may do.

Refuses to go back: there are no steps down.
"""

import argparse
import asyncio
import sys
from typing import Any

from config.settings import Settings
from service.cli import state
from service.cli.options import text
from service.store.database import open_database
from service.store.postgres.roles import grant_roles


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    role: dict[str, Any] = {"type": text, "metavar": "NAME"}
    parser.add_argument("--app-role", help="give this PostgreSQL role what `serve` needs, no more", **role)
    parser.add_argument("--eraser-role", help="give this one what erasing and retention need", **role)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Migrate; any number of processes may do so at once."""
    asyncio.run(_migrate(state.settings(), given.app_role, given.eraser_role))
    sys.stdout.write("The database is up to date.\n")
    return 0


async def _migrate(settings: Settings, app: str | None, eraser: str | None) -> None:
    database = await open_database(settings.database_url, state.vault(settings))
    await database.close()
    if app is not None or eraser is not None:
        await grant_roles(settings.database_url, app, eraser)
