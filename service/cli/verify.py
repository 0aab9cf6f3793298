"""parley audit verify: whether the log or an export is what was sealed.

Refuses to trust this installation where it need not: a file is verified without settings or a database.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TextIO

from msgspec import Struct

from service.audit.export_proof import verify_export
from service.audit.verification.report import UNPROVEN
from service.audit.verify import Finding, Keys, Report, Verifier
from service.cli import sheet
from service.cli.options import add_json
from service.cli.terminal import encoded, plain
from service.errors import ServiceError
from service.seal.keys import KeyUnreadable, public_key
from service.seal.notes import checkpoints_in
from service.store.shown import shown

STDIN = "-"
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


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_json(parser)
    parser.add_argument("file", nargs="?", help="an export or a proof; - is stdin; none is the database")
    parser.add_argument(
        "--public-key", action="append", default=[], metavar="FILE",
        help="key of the checkpoints (PEM, vkey, hex or base64); again for keys before a rotation",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoint", action="append", default=[], metavar="FILE",
        help="checkpoints kept elsewhere: notes, log lines, or the file of AGENT_AUDIT_CHECKPOINT_LOG",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Verify a file, or the database where none is given."""
    return _of_file(given) if given.file else _of_database(given)


def _of_database(given: argparse.Namespace) -> int:
    from service.cli import asking, proof  # noqa: PLC0415 - a file is verified without a database

    async def work(desk: asking.Desk) -> int:
        evidence = _evidence(given)
        return _told(given, await proof.verified(desk, evidence.verifiers, evidence.outside), evidence)

    return asking.run(work, given)


def _of_file(given: argparse.Namespace) -> int:
    evidence = _evidence(given)
    if not evidence.verifiers:
        raise Unusable("A file is verified by a key that did not come with it: give --public-key FILE.")
    with _opened(given.file) as file:
        keys = Keys(evidence.verifiers)
        report = verify_export(_lines(given.file, file), keys, shown, evidence.outside)
    return _told(given, report, evidence)


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
    lines = [encoded(report)] if given.json else _words(report)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
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
