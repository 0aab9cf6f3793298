"""parley keys: make, list and revoke API keys. A key is shown once, when it is made."""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.settings import ROLE_NAME
from service.auth.credentials import USER_NAME
from service.auth.derive import Derived
from service.auth.development import keep
from service.auth.keys import FORM, NewKey, digest_of, make_key
from service.cli import state
from service.store.database import Database, open_database
from service.store.keys import StoredKey
from telemetry.recorder import microseconds
from telemetry.timestamp import timestamp

if TYPE_CHECKING:
    from service.app import House

SCOPES = ("audit:content",)
USER = re.compile(USER_NAME)
"""An argument that is no UTF-8 comes as surrogates, which neither a database nor a terminal takes."""
SPAN = re.compile(r"(?P<number>[1-9][0-9]{0,4})(?P<unit>[dhm])")
UNITS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000}
"""Microseconds."""

Work = Callable[[Database, argparse.Namespace], Awaitable[int]]


def add(commands: Any) -> None:
    """Add the command's parser."""
    said = "make, list and revoke API keys"
    verbs = commands.add_parser("keys", help=said, description=said).add_subparsers(
        required=True, metavar="VERB"
    )
    create = _verb(verbs, "create", "make a key and show it, once", _create)
    create.add_argument("--user", required=True, type=_user, help="whom it stands for")
    create.add_argument("--role", required=True, type=_role, help="what that user is: CFO, AUDITEE, ...")
    create.add_argument("--scope", action="append", default=[], choices=SCOPES, help="a further permission")
    create.add_argument("--expires", type=_span, help="for how long it holds: 90d, 12h, 30m")
    _verb(verbs, "list", "list the keys, never their secrets", _list)
    revoke = _verb(verbs, "revoke", "make a key hold no longer", _revoke)
    revoke.add_argument("id", help="as `parley keys list` shows it")


def _verb(verbs: Any, name: str, said: str, work: Work) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=said, description=said)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=partial(_run, work))
    return parser


def _run(work: Work, given: argparse.Namespace) -> int:
    return asyncio.run(_with_database(work, given))


async def _with_database(work: Work, given: argparse.Namespace) -> int:
    database = await open_database(state.settings().database_url)
    try:
        return await work(database, given)
    finally:
        await database.close()


async def _create(database: Database, given: argparse.Namespace) -> int:
    made, now = make_key(Derived(state.root(state.settings())).pepper), microseconds()
    expires_at = now + given.expires if given.expires else None
    await database.keys.add(
        stored(made.id, made.digest, given.user, given.role, tuple(given.scope), now, expires_at)
    )
    told = {
        "id": made.id,
        "key": made.key,
        "user": given.user,
        "role": given.role,
        "expiresAt": _time(expires_at),
    }
    _print(given, told, f"{made.key}\nShown once. User {given.user}, role {given.role}, id {made.id}.")
    return 0


async def _list(database: Database, given: argparse.Namespace) -> int:
    rows = [_shown(key) for key in await database.keys.list()]
    lines = [f"{row['id']}  {row['role']:12} {row['status']:8} {row['user']}" for row in rows]
    _print(given, rows, "\n".join(lines) or "no keys")
    return 0


async def _revoke(database: Database, given: argparse.Namespace) -> int:
    revoked = await database.keys.revoke(given.id, microseconds())
    words = "revoked" if revoked else "no such key, or revoked before"
    _print(given, {"id": given.id, "revoked": revoked}, f"{given.id}: {words}")
    return 0 if revoked else 1


async def keep_development_key(house: "House", folder: Path, user: str, role: str) -> str:
    """The key of `make run`: made on the first start, kept in a file that only the owner reads."""
    key = keep(folder / "development-key", make_key(house.derived.pepper).key)
    found = FORM.fullmatch(key)
    if found and await house.database.keys.find(found["id"]) is None:
        made = NewKey(found["id"], key, digest_of(key, house.derived.pepper))
        await house.database.keys.add(stored(made.id, made.digest, user, role, (), microseconds(), None))
    return key


def stored(
    key_id: str, digest: str, user: str, role: str, scopes: tuple[str, ...], now: int, expires_at: int | None
) -> StoredKey:
    """A key as it is kept."""
    return StoredKey(
        id=key_id,
        user_id=user,
        role=role,
        scopes=scopes,
        digest=digest,
        created_at=now,
        expires_at=expires_at,
        revoked_at=None,
    )


def _shown(key: StoredKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "user": key.user_id,
        "role": key.role,
        "scopes": list(key.scopes),
        "status": _status(key),
        "createdAt": _time(key.created_at),
        "expiresAt": _time(key.expires_at),
        "revokedAt": _time(key.revoked_at),
    }


def _status(key: StoredKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= microseconds() else "active"


def _time(moment: int | None) -> str | None:
    return timestamp(moment) if moment is not None else None


def _print(given: argparse.Namespace, data: Any, words: str) -> None:
    text = json.dumps(data) if given.json else words.encode("utf-8", "replace").decode()
    sys.stdout.write(text + "\n")  # an argument may hold what no terminal takes


def _user(text: str) -> str:
    if not USER.fullmatch(text):
        raise argparse.ArgumentTypeError("1 to 128 characters without blanks")
    return text


def _role(text: str) -> str:
    if not re.fullmatch(ROLE_NAME, text):
        raise argparse.ArgumentTypeError("capital letters, digits and _ (CFO, AUDIT_HEAD), at most 32")
    return text


def _span(text: str) -> int:
    """Microseconds."""
    found = SPAN.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError("a number and d, h or m: 90d")
    return int(found["number"]) * UNITS[found["unit"]]
