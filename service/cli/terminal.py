"""Words and JSON for a terminal.

Refuses what would move a cursor there.
"""

import sys
from typing import Any

import msgspec

from telemetry.text import escaped


def plain(value: object) -> str:
    """A value for a terminal: nothing in it moves a cursor."""
    text = "-" if value is None else str(value)
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)


def encoded(value: Any, indent: int = 0) -> str:
    """A value as JSON that says the same and moves no cursor; on one line, or indented."""
    text = msgspec.json.encode(value)
    told = msgspec.json.format(text, indent=indent) if indent else text
    return escaped(told.decode())


def printed(piece: str) -> str:
    """A piece of a file on its way to stdout: as it is, but where stdout is a terminal."""
    if not sys.stdout.isatty():
        return piece
    return "\n".join(map(plain, piece.replace("\r\n", "\n").split("\n")))
