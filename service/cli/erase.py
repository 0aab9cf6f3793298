"""parley audit erase, scrub, hold, release, holds: forget people, or forbid it.

Refuses to forget anybody whose name a person typed without asking once more; a script is taken at its word.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from service.audit import erasure
from service.audit.deed import Doer
from service.cli import asking
from service.cli.asking import Desk
from service.cli.options import add_tenant, text
from service.cli.terminal import plain
from service.errors import Conflict, NotFound
from service.store.erasure import Forgotten
from service.web.parameters import Nothing
from telemetry.person import parted, person_of, told_of
from telemetry.timestamp import timestamp

KEPT = "Events, sums and hashes stay. Names in backups and in other systems are not touched."


def add_erase(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _erase, Nothing)
    add_tenant(parser, "the tenant that they belong to")
    parser.add_argument("--subject", action="append", default=[], type=text, help="whom; may be repeated")
    parser.add_argument("--subjects-from", type=Path, help="a file with one name a line")
    parser.add_argument("--yes", action="store_true", help="do not ask, on a terminal either")


def add_scrub(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _scrub, Nothing)


def add_hold(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _hold, Nothing)
    add_tenant(parser, "the tenant that they belong to")
    parser.add_argument("--subject", required=True, type=text, help="on whom")
    parser.add_argument("--reason", required=True, type=text, help="why; told to whoever is refused")


def add_release(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _release, Nothing)
    add_tenant(parser, "the tenant that they belong to")
    parser.add_argument("--subject", required=True, type=text, help="of whom")


def add_holds(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _holds, Nothing)


async def _erase(desk: Desk) -> int:
    users = tuple(dict.fromkeys(_users(desk.given)))
    if not users:
        return _complain("name somebody by --subject or --subjects-from", 2)
    if not (desk.given.yes or _agreed(users)):
        return _complain("nobody was erased", 2)
    told = [await _erased(desk, user) for user in users]
    left = (await desk.database.erasures.scrub()).left if any(each["erased"] for each in told) else ()
    asking.show(desk, {"subjects": told, "left": left}, lambda: "\n".join([*map(_line, told), *left, KEPT]))
    return 0 if all(each["erased"] for each in told) and not left else 1


async def _erased(desk: Desk, user: str) -> dict[str, Any]:
    doer = asking.doer(desk.given.tenant)
    try:
        done = await desk.database.erasures.erase(person_of(user, doer.tenant), partial(_row, doer), doer.at)
    except (NotFound, Conflict) as error:
        return {"subject": user, "erased": False, "why": error.detail}
    return {"subject": user, "erased": True, **msgspec.to_builtins(done)}


def _row(doer: Doer, done: Forgotten) -> Any:
    return erasure.erased(doer, **structs.asdict(done))


def _line(told: dict[str, Any]) -> str:
    name = plain(told["subject"])
    if not told["erased"]:
        return f"{name}: not erased: {plain(told['why'])}"
    counts = (
        f"{told['events']} events, {told['conversations']} conversations, {told['answers']} kept answers, "
        f"{told['apiKeys']} API keys"
    )
    return f"{name}: erased ({counts}); known from now on as {told['subjectId']}"


def _users(given: argparse.Namespace) -> Iterator[str]:
    yield from given.subject
    if given.subjects_from:
        yield from filter(None, _lines(given.subjects_from))


def _lines(path: Path) -> Sequence[str]:
    try:
        return [line.removesuffix("\r") for line in path.read_bytes().decode().split("\n")]
    except UnicodeDecodeError as error:
        raise OSError(f"{path} is not in UTF-8") from error


def _agreed(users: Sequence[str]) -> bool:
    """Whether it is meant: who sits at a terminal is asked, a script has said so by naming them."""
    if not sys.stdin.isatty():
        return True
    sys.stderr.write(f"Forget {', '.join(map(plain, users))}? It cannot be undone. Say yes: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() == "yes"


async def _scrub(desk: Desk) -> int:
    left = (await desk.database.erasures.scrub()).left
    asking.show(desk, {"left": left}, lambda: "\n".join(left) or "nothing deleted is left")
    return 1 if left else 0


async def _hold(desk: Desk) -> int:
    given, doer = desk.given, asking.doer(desk.given.tenant)
    try:
        subject_id = await desk.database.holds.place(
            person_of(given.subject, given.tenant), given.reason, partial(erasure.placed, doer), doer.at
        )
    except Conflict as error:
        return _complain(error.detail, 1)
    return _held(desk, subject_id, "is under legal hold")


async def _release(desk: Desk) -> int:
    given, doer = desk.given, asking.doer(desk.given.tenant)
    try:
        subject_id = await desk.database.holds.release(
            person_of(given.subject, given.tenant), partial(erasure.released, doer), doer.at
        )
    except NotFound as error:
        return _complain(error.detail, 1)
    return _held(desk, subject_id, "is under legal hold no longer")


def _held(desk: Desk, subject_id: str, words: str) -> int:
    told = {"subject": desk.given.subject, "subjectId": subject_id}
    asking.show(desk, told, lambda: f"{plain(desk.given.subject)} {words}")
    return 0


async def _holds(desk: Desk) -> int:
    holds = await desk.database.holds.list()
    told = [
        {**_named(each.user_id), "reason": each.reason, "placedAt": timestamp(each.placed_at)}
        for each in holds
    ]
    lines = [
        f"{timestamp(each.placed_at)}  {plain(told_of(each.user_id))}  {plain(each.reason)}" for each in holds
    ]
    asking.show(desk, told, lambda: "\n".join(lines) or "no holds")
    return 0


def _named(person: str) -> dict[str, str]:
    tenant, user = parted(person)
    return {"subject": user, "tenant": tenant} if tenant else {"subject": user}


def _complain(said: str, status: int) -> int:
    sys.stderr.write(f"parley: {plain(said)}\n")
    return status
