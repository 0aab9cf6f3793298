"""parley settings: every setting, its value and where that came from.

Refuses to show a secret: its mask stands for it.
"""

import argparse
import json
import sys
from typing import Any

from config import load, table


def add(commands: Any) -> None:
    """Add the command's parser."""
    said = "print every setting, its value and where that came from"
    parser = commands.add_parser("settings", help=said, description=said)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the table."""
    loaded = load()
    rows = table.rows(loaded.settings, loaded.origins)
    sys.stdout.write(
        (json.dumps(table.as_json(rows)) if given.json else table.as_text(rows)).rstrip("\n") + "\n"
    )
    return 0
