"""parley mcp: the audit as tools for somebody's assistant, over stdio, of a service that runs.

Refuses to know more than its caller: every question goes to the service's own routes with the caller's key,
so that role, masking and the record of looking are theirs.
"""

import argparse
import asyncio
import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from config import Secret, SettingsError
from config.source import Unreadable, read_secret

KEY = "PARLEY_API_KEY"
URL = "http://127.0.0.1:3005"
DESCRIPTION = f"""\
Speaks MCP over stdio, for an assistant that asks the audit: events, one event, the verdict on the whole
log, usage, limits, feedback. Asks the service at --url with the key in {KEY}, or in the file that {KEY}_FILE
names, and may see what that key may see."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = DESCRIPTION
    parser.add_argument("--url", default=URL, type=_address, help="where the service is (%(default)s)")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Serve until stdin ends."""
    key = key_of(os.environ)
    from service.cli.mcp.server import serve  # noqa: PLC0415 - `mcp` takes a second that others need not spend

    asyncio.run(serve(given.url, key))
    return 0


def key_of(environ: Mapping[str, str]) -> Secret:
    """The caller's key.

    Raises:
        SettingsError: there is none, or it is none.
    """
    key = environ.get(KEY, "")
    if not key and (file := environ.get(f"{KEY}_FILE")):
        try:
            key = read_secret(file)
        except Unreadable as error:
            raise SettingsError((f"{KEY}_FILE: {error}",)) from None
    if not re.fullmatch(r"[!-~]{1,8192}", key):
        raise SettingsError((f"{KEY}: missing or no key; `parley keys create` makes one",))
    return Secret(key)


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        fits = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or set(text) & set("?#@") or not re.fullmatch(r"[!-~]+", text):
        raise argparse.ArgumentTypeError("an http:// or https:// URL without credentials, query or fragment")
    return text.rstrip("/")
