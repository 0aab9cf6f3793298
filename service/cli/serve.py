"""parley serve: the service, until Ctrl-C or SIGTERM. In development it greets on stderr.

Refuses to greet outside development: there it makes no key and tells none.
"""

import argparse
import asyncio
import os
import sys
from typing import Any

from config.secret import Secret
from config.settings import Settings
from service.audit.signing import configured_signer
from service.cli import keys, state
from telemetry import log, providers

SIMULATED = "Model: simulator (ANTHROPIC_API_KEY asks a real one; markers: parley simulate --help)"
DEVELOPER, DEVELOPER_ROLE = "dev", "AUDITEE"
HEAD, HEAD_ROLE = "dev-auditor", "AUDIT_HEAD"


def add(commands: Any) -> None:
    """Add the command's parser."""
    said = "run the service"
    commands.add_parser("serve", help=said, description=said).set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Serve; telemetry has two seconds to leave when all is over."""
    del given
    settings = state.settle()
    configured_signer(settings.audit.signing_key)  # before anything starts: a key that is none is refused
    providers.start(os.environ)
    log.start(settings)
    try:
        asyncio.run(_serve(settings, state.root(settings)))
    finally:
        providers.stop()
    return 0


async def _serve(settings: Settings, root: Secret) -> None:
    # costs a second that other commands need not spend
    from service import server  # noqa: PLC0415 - as above
    from service.web import console  # noqa: PLC0415 - as above

    async def ready(house: server.House, address: str) -> None:
        if settings.model.simulated:
            _say(SIMULATED)
        if settings.environment == "development":
            key = await keys.keep_development_key(house, state.folder(settings), DEVELOPER, DEVELOPER_ROLE)
            _greet(key, console.link(address, house.sessions.invite(HEAD, HEAD_ROLE)))
        _say(f"Ready: {address}")

    await server.serve(settings, root, ready)


def _greet(key: str, sign_in: str) -> None:
    _say(f"API key: {key}")
    _say(f"Console: {sign_in}")


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()
