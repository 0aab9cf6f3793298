"""parley check: whether the service could start and reach what it needs, one line for each part.

Refuses to change anything: what is missing is not made, what is old is not migrated.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from msgspec import Struct

from config import Loaded, SettingsError, load
from config.settings import PROVIDER, Settings
from service.agent.upstream.anthropic import BASE_URL
from service.agent.upstream.provided import provider
from service.audit.journal import volume
from service.audit.signing import configured_signer
from service.cli import reach
from service.cli.options import add_json
from service.cli.terminal import encoded
from service.errors import DatabaseError, JournalError
from service.store.probe import file_of, probe
from service.tools.installed import UnusableTool
from service.tools.installed import load as load_tools
from service.tools.mcp.file import read_servers
from telemetry import providers
from telemetry.sink import UnknownSink
from telemetry.sink import load as load_sinks

WRONG = 2


class Finding(Struct, frozen=True):
    """One part: `up`, `down`, or `off` where nothing is to be reached; and a few words."""

    name: str
    status: str
    detail: str


class Down(Exception):
    """A part is not as it should be; the message says why."""


Look = Callable[[], str]
"""Looks at a part and says what it saw; raises what `looked` knows. Blocks, on a thread of its own."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Look at everything at once; 0 all is well, 1 something is down, 2 the settings are wrong."""
    try:
        loaded = load()
        configured_signer(loaded.settings.audit.signing_key)
        read_servers(loaded.settings.mcp_servers, os.environ)
    except SettingsError as error:
        _show(given, [Finding("settings", "down", problem) for problem in error.problems])
        return WRONG
    found = asyncio.run(_look(loaded))
    _show(given, found)
    return 1 if any(each.status == "down" for each in found) else 0


async def _look(loaded: Loaded) -> list[Finding]:
    exported = {name: value.reveal() for name, value in loaded.exports.items()}
    otlp = _otlp(exported | dict(os.environ))
    looks = {"settings": partial(_settings, loaded), **_looks(loaded.settings), **otlp}
    found = await asyncio.gather(*(asyncio.to_thread(looked, name, look) for name, look in looks.items()))
    return found if otlp else [*found, Finding("otlp", "off", "nothing is exported by it")]


def looked(name: str, look: Look) -> Finding:
    """What a look at a part says."""
    try:
        return Finding(name, "up", look())
    except (Down, SettingsError, reach.Unreachable, UnknownSink, UnusableTool) as error:
        return Finding(name, "down", str(error))
    except DatabaseError as error:
        return Finding(name, "down", error.detail)


def _looks(settings: Settings) -> Mapping[str, Look]:
    webhook = settings.alerts.webhook
    told = {"alerts": partial(_reached, webhook, partial(reach.ask_http, direct=True))} if webhook else {}
    return told | {
        "database": partial(_database, settings.database_url),
        "journal": partial(_journal, Path(settings.audit.journal_dir)),
        "model": partial(_model, settings),
    }


def _settings(loaded: Loaded) -> str:
    load_sinks(loaded.settings.sinks)
    load_tools(loaded.settings)
    changed = sum(origin != "default" for origin in loaded.origins.values())
    return f"{loaded.settings.environment}; {changed} of {len(loaded.origins)} set"


def _database(url: str) -> str:
    path = file_of(url)
    if path and not path.exists():
        return folder(path.parent)
    return asyncio.run(probe(url))


def _journal(path: Path) -> str:
    """Whether a journal may lie there; a disk that does not last is said, and no fault."""
    try:
        caution = volume.caution(volume.admit(path))
    except JournalError as error:
        raise Down(error.detail) from error
    return f"{folder(path)}; {caution}" if caution else folder(path)


def folder(path: Path) -> str:
    """Whether files can be made in a folder, or the folder itself where there is none.

    Raises:
        Down: neither.
    """
    there = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise Down(f"{there}: {error.strerror}") from error
    return f"{path} can be written" if there == path.absolute() else f"{path} will be made"


def _model(settings: Settings) -> str:
    if settings.model.simulated:
        return "simulator"
    if settings.model.provider != PROVIDER:
        provider(settings.model.provider)
        return f"of the provider {settings.model.provider}, which is installed; its API was not looked at"
    url = settings.model.base_url or BASE_URL
    return _reached(url, reach.ask_http)


def _otlp(environ: Mapping[str, str]) -> Mapping[str, Look]:
    if file := environ.get("OTEL_CONFIG_FILE"):
        return {"otlp": partial(_file, Path(file))}
    ways = {"grpc": reach.connect, "http/protobuf": reach.ask_http}
    return {
        f"otlp_{each.signal}": partial(_reached, each.url, ways.get(each.protocol, reach.connect))
        for each in providers.endpoints(environ)
    }


def _file(path: Path) -> str:
    try:
        path.open("rb").close()
    except OSError as error:
        raise Down(f"OTEL_CONFIG_FILE: {path}: {error.strerror}") from error
    return f"as {path} says; its endpoints were not looked at"


def _reached(url: str, ask: Callable[[str], None]) -> str:
    try:
        ask(url)
    except reach.Unreachable as error:
        raise Down(f"{reach.where(url)}: {error}") from error
    return f"{reach.where(url)} answers"


def _show(given: argparse.Namespace, found: list[Finding]) -> None:
    lines = [encoded(found)] if given.json else _lines(found)
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _lines(found: list[Finding]) -> Iterator[str]:
    for each in found:
        yield f"{each.name:14} {each.status:5} {each.detail}"
