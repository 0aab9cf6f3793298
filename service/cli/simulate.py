"""parley simulate: the simulator alone, for anything that speaks the Messages API.

Refuses to listen anywhere but on the loopback.
"""

import argparse
import asyncio
import sys

from service.simulator import COMBINING, MARKERS

MARKED = "Markers in a message, [sim:NAME], choose what it does:"
DEFAULT_PORT = 3006
MAX_PORT = 65_535


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes; its help lists the markers."""
    width = max(map(len, MARKERS)) + 2
    markers = "\n".join(f"  {name:{width}}{what}" for name, what in MARKERS.items())
    parser.description = f"{parser.description}.\n\n{MARKED}\n{markers}\n\n{COMBINING}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="0 takes any free one (%(default)s)")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from service import server  # noqa: PLC0415 - costs a second that other commands need not spend

    asyncio.run(server.simulate("127.0.0.1", given.port, _say))
    return 0


def _say(address: str) -> None:
    sys.stderr.write(f"Ready: {address}\n")
    sys.stderr.flush()


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_PORT):
        raise argparse.ArgumentTypeError(f"a whole number from 0 to {MAX_PORT}")
    return int(text)
