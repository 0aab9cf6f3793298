"""parley keys: make, list and revoke API keys.

Refuses to show a key again once it is made: the database holds its HMAC only.
"""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from config.settings import ROLE_NAME
from service.auth.credentials import USER_NAME
from service.auth.derive import Derived
from service.auth.development import keep
from service.auth.key_terms import Scope, micros_of, status_of
from service.auth.keys import FORM, KeyDoor, NewKey, digest_of, make_key
from service.cli import asking, state
from service.cli.asking import Desk
from service.errors import RowRefused, Unauthenticated
from service.store.keys import StoredKey
from service.web.parameters import Nothing
from telemetry.recorder import microseconds
from telemetry.timestamp import timestamp

if TYPE_CHECKING:
    from service.app import House

USER = re.compile(USER_NAME)


def add(commands: Any) -> None:
    """Add the command's parser."""
    said = "make, list and revoke API keys"
    verbs = commands.add_parser("keys", help=said, description=said).add_subparsers(
        required=True, metavar="VERB"
    )
    create = asking.verb(
        verbs, "create", "make a key and show it, once", _create, Nothing, makes_database=True
    )
    create.add_argument("--user", required=True, type=_user, help="whom it stands for")
    create.add_argument("--role", required=True, type=_role, help="what that user is: CFO, AUDITEE, ...")
    create.add_argument(
        "--scope", action="append", default=[], choices=get_args(Scope), help="a further permission"
    )
    create.add_argument("--expires", type=_span, help="for how long it holds: 90d, 12h, 30m")
    asking.verb(verbs, "list", "list the keys, never their secrets", _list, Nothing)
    revoke = asking.verb(verbs, "revoke", "make a key hold no longer", _revoke, Nothing)
    revoke.add_argument("id", type=asking.text, help="as `parley keys list` shows it")


async def _create(desk: Desk) -> int:
    given, now = desk.given, microseconds()
    made = make_key(Derived(state.root(desk.settings)).pepper)
    expires_at = now + given.expires if given.expires else None
    await desk.database.keys.add(
        StoredKey(
            id=made.id,
            user_id=given.user,
            role=given.role,
            scopes=tuple(given.scope),
            digest=made.digest,
            created_at=now,
            expires_at=expires_at,
        )
    )
    told = {"id": made.id, "key": made.key, "user": given.user, "role": given.role}
    words = f"{made.key}\nShown once. User {given.user}, role {given.role}, id {made.id}."
    asking.show(desk, {**told, "expiresAt": _time(expires_at)}, lambda: words)
    return 0


async def _list(desk: Desk) -> int:
    rows = [_shown(key) for key in await desk.database.keys.list()]
    lines = [f"{row['id']}  {row['role']:12} {row['status']:8} {row['user']}" for row in rows]
    asking.show(desk, rows, lambda: "\n".join(lines) or "no keys")
    return 0


async def _revoke(desk: Desk) -> int:
    key_id = desk.given.id
    revoked = await desk.database.keys.revoke(key_id, microseconds())
    words = "revoked" if revoked else "no such key, or revoked before"
    asking.show(desk, {"id": key_id, "revoked": revoked}, lambda: f"{asking.plain(key_id)}: {words}")
    return 0 if revoked else 1


async def keep_development_key(house: "House", folder: Path, user: str, role: str) -> str:
    """The key of `make run`: made on the first start, kept in a file that only the owner reads.

    One that no longer holds, because the root secret is another or it was revoked, is replaced.
    """
    path, pepper = folder / "development-key", house.derived.pepper
    key = keep(path, make_key(pepper).key)
    found = FORM.fullmatch(key)
    if found and await house.database.keys.find(found["id"]) is None:
        await _add(house, NewKey(found["id"], key, digest_of(key, pepper)), user, role)
    if await _holds(house, key):
        return key
    made = make_key(pepper)
    await _add(house, made, user, role)
    _replace(path, made)
    return made.key


async def _holds(house: "House", key: str) -> bool:
    """Whether the service's own door lets the key in."""
    try:
        await KeyDoor(house.database.keys, house.derived.pepper, str, microseconds).identify(key)
    except Unauthenticated:
        return False
    return True


async def _add(house: "House", made: NewKey, user: str, role: str) -> None:
    key = StoredKey(
        id=made.id, user_id=user, role=role, scopes=(), digest=made.digest, created_at=microseconds()
    )
    try:
        await house.database.keys.add(key)
    except RowRefused:  # a process that started at the same moment may have been quicker
        if await house.database.keys.find(made.id) is None:
            raise


def _replace(path: Path, made: NewKey) -> None:
    draft = path.with_name(f"{path.name}-{made.id}")
    keep(draft, made.key)
    draft.replace(path)


def _shown(key: StoredKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "user": key.user_id,
        "role": key.role,
        "scopes": list(key.scopes),
        "status": status_of(key, microseconds()),
        "createdAt": _time(key.created_at),
        "expiresAt": _time(key.expires_at),
        "revokedAt": _time(key.revoked_at),
    }


def _time(moment: int | None) -> str | None:
    return timestamp(moment) if moment is not None else None


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
    try:
        return micros_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
