"""parley settings: every setting, its value and where that came from.

Refuses to show a secret: its mask stands for it.
"""

import argparse
import json
import sys

from config import load, table
from service.cli.options import add_json


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the table."""
    loaded = load()
    rows = table.rows(loaded.settings, loaded.origins)
    sys.stdout.write(
        (json.dumps(table.as_json(rows)) if given.json else table.as_text(rows)).rstrip("\n") + "\n"
    )
    return 0
