"""parley migrate: bring the database to this version's form, as `serve` does too.

Refuses to go back: there are no steps down.
"""

import argparse
import asyncio
import sys
from typing import Any

from config.settings import Settings
from service.cli import state
from service.store.database import open_database


def add(commands: Any) -> None:
    """Add the command's parser."""
    said = "bring the database to this version's form"
    commands.add_parser("migrate", help=said, description=said).set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Migrate; any number of processes may do so at once."""
    del given
    asyncio.run(_migrate(state.settings()))
    sys.stdout.write("The database is up to date.\n")
    return 0


async def _migrate(settings: Settings) -> None:
    database = await open_database(settings.database_url, state.vault(settings))
    await database.close()
