"""parley audit verify, prove, key: whether the log or an export is what was sealed, and by which key.

Refuses to trust this installation where it need not: a file is verified without settings or a database.
"""

import argparse
import os
import sys
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import msgspec
from msgspec import Struct

from service.audit.access import Look
from service.audit.checkpoints import Sealing
from service.audit.export_proof import verify_export
from service.audit.outlets import outlets
from service.audit.signing import LogKey, log_key
from service.audit.verification.report import UNPROVEN
from service.audit.verify import Finding, Keys, Report, Verifier
from service.cli import asking, sheet, state
from service.cli.asking import Desk, plain
from service.errors import ServiceError
from service.seal.keys import KeyUnreadable, public_key
from service.seal.notes import checkpoints_in
from service.store.shown import shown
from service.web.checkpoints import keys_of
from service.web.parameters import Nothing
from service.web.proofs import Prover
from service.web.scanning import Scanning
from service.web.verification import key_told, verify_log
from telemetry.recorder import microseconds

STDIN = "-"
OWN_KEY = "parley: verified by this installation's own key; a key kept elsewhere (--public-key) proves more\n"
UNFRESH = (
    "Freshness is unproven: without a checkpoint kept elsewhere (--checkpoint) a log that was cut short, "
    "or an old copy, looks the same."
)
NAMES = "Names are not sealed, so that they can be erased: actorId is not proven."


class Unusable(ServiceError):
    """What was given cannot be worked with; `detail` says what and why."""


class Evidence(Struct, frozen=True):
    """What a log is held against: public keys, and checkpoints kept elsewhere."""

    verifiers: Sequence[Verifier]
    outside: Sequence[str]


def add(verbs: Any) -> None:
    """Add the verbs' parsers."""
    verify = asking.verb(verbs, "verify", "verify the log, or a file without any database", _live, Nothing)
    verify.add_argument("file", nargs="?", help="an export or a proof; - is stdin; none is the database")
    verify.add_argument(
        "--public-key", action="append", default=[], metavar="FILE",
        help="key of the checkpoints (PEM, vkey, hex or base64); again for keys before a rotation",
    )  # fmt: skip
    verify.add_argument(
        "--checkpoint", action="append", default=[], metavar="FILE",
        help="checkpoints kept elsewhere: notes, log lines, or the file of AGENT_AUDIT_CHECKPOINT_LOG",
    )  # fmt: skip
    verify.set_defaults(run=partial(_verify, verify.get_default("run")))
    prove = asking.verb(verbs, "prove", "print one event with what proves it", _prove, Nothing)
    prove.add_argument("id", type=asking.text, help="the event's id")
    asking.verb(verbs, "key", "print the public key of the log's checkpoints", _key, Nothing)


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


def _verify(live: Any, given: argparse.Namespace) -> int:
    return _of_file(given) if given.file else live(given)


async def _live(desk: Desk) -> int:
    evidence, own = _evidence(desk.given), await _log_key(desk)
    keys = Keys(evidence.verifiers, own.origin) if evidence.verifiers else keys_of(own)
    if not evidence.verifiers:
        sys.stderr.write(OWN_KEY)
    scanning = Scanning(desk.settings.database_url, os.cpu_count() or 1)
    report = await verify_log(desk.database, keys, evidence.outside, scanning)
    return _told(desk.given, report, evidence)


def _of_file(given: argparse.Namespace) -> int:
    evidence = _evidence(given)
    if not evidence.verifiers:
        raise Unusable("A file is verified by a key that did not come with it: give --public-key FILE.")
    with _opened(given.file) as file:
        keys = Keys(evidence.verifiers)
        report = verify_export(_lines(given.file, file), keys, shown, evidence.outside)
    return _told(given, report, evidence)


async def _prove(desk: Desk) -> int:
    found = await desk.database.questions.event(desk.given.id)
    async with proving(desk) as prover:
        proven = found and await prover.prove(found, salted=True)
    if proven is None:
        sys.stderr.write("parley: there is no audit event of that id\n")
        return 1
    await asking.note(desk, Look.READ, "parley audit prove", proven.id)
    told = await desk.database.opening.one(proven)
    asking.show(desk, told, lambda: msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    return 0


async def _key(desk: Desk) -> int:
    told = key_told(await _log_key(desk))
    asking.show(desk, told, lambda: told.public_key.rstrip("\n"))
    return 0


async def _log_key(desk: Desk) -> LogKey:
    seeds, log_id = state.derived(desk.settings).signing_seeds, await desk.database.audit.log_id()
    return log_key(desk.settings.audit.signing_key, seeds, log_id)


def _evidence(given: argparse.Namespace) -> Evidence:
    notes = {path: checkpoints_in(_text(path)) for path in given.checkpoint}
    for path, found in notes.items():
        if not found:
            raise Unusable(f"{path}: there is no checkpoint in it.")
    return Evidence([*map(_verifier, given.public_key)], [*chain.from_iterable(notes.values())])


def _verifier(said: str) -> Verifier:
    """The key of a file, or of a text that is one."""
    try:
        return Verifier(public_key(_text(said) if Path(said).exists() else said))
    except KeyUnreadable as error:
        raise Unusable(f"{said}: {error.detail}") from error


def _text(path: str) -> str:
    with _opened(path) as file:
        return file.read()


def _opened(path: str) -> TextIO:
    """A file's text; what is no UTF-8 in it is replaced, and will be found."""
    where = sys.stdin.fileno() if path == STDIN else path
    return open(where, encoding="utf-8", errors="replace", newline="", closefd=path != STDIN)


def _lines(path: str, file: TextIO) -> Iterable[str]:
    """The JSON lines of an export in either form, or of a proof."""
    first = next((line for line in file if line.strip()), "")
    if first.startswith(sheet.BEGINNING):
        return sheet.lines_of(chain([first], file))
    if not first.startswith("{"):
        raise Unusable(f"{path}: neither an export nor a proof; there is nothing to verify.")
    return chain([first], file)


def _told(given: argparse.Namespace, report: Report, evidence: Evidence) -> int:
    if not report.size and report.valid:
        raise Unusable("The log is empty; there is nothing to verify.")
    if evidence.outside and report.refused == len(evidence.outside):
        raise Unusable("None of the checkpoints given is of this log and signed by the keys given.")
    encoded = msgspec.json.encode(report).decode()
    sys.stdout.write("".join(f"{line}\n" for line in ([encoded] if given.json else _words(report))))
    return 0 if report.valid else 1


def _words(report: Report) -> Iterator[str]:
    yield from map(_finding, report.findings)
    if report.found > len(report.findings):
        yield f"... and {report.found - len(report.findings)} more"
    yield " ".join((_verdict(report), _fresh(report), NAMES))


def _finding(found: Finding) -> str:
    at = "" if found.log_index is None else f" at {found.log_index}"
    event = "" if found.id is None else f", event {plain(found.id)}"
    return f"{found.kind}{at}{event}: {plain(found.detail)}"


def _verdict(report: Report) -> str:
    if not report.valid:
        return f"Not valid: {report.found} findings in {report.rows} events."
    beyond = max(0, report.size - report.checkpoint_size)
    later = f" No checkpoint is over the last {beyond} yet." if beyond else ""
    return f"Valid: {report.rows} events are what was signed.{later}"


def _fresh(report: Report) -> str:
    if report.freshness == UNPROVEN:
        return UNFRESH
    return f"The log has all that the checkpoint kept elsewhere of {report.freshness} is over."
