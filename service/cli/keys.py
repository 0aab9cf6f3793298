"""parley keys: make, list and revoke API keys.

Refuses to show a key again once it is made: the database holds its HMAC only.
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from config.settings import ROLE_NAME
from service.auth.development import keep
from service.auth.key_terms import Scope, micros_of, status_of
from service.auth.keys import FORM, KeyDoor, NewKey, digest_of, make_key
from service.cli import asking, state
from service.cli.asking import Desk
from service.cli.options import add_tenant, name, text
from service.cli.parser import Filled, Parser
from service.cli.terminal import plain
from service.errors import RowRefused, Unauthenticated
from service.store.keys import StoredKey
from service.web.parameters import Nothing
from telemetry.person import parted, person_of, told_of
from telemetry.recorder import microseconds
from telemetry.timestamp import timestamp

if TYPE_CHECKING:
    from service.app import House

VERBS: Mapping[str, Filled] = {
    "create": ("make a key and show it, once", "service.cli.keys:add_create"),
    "list": ("list the keys, never their secrets", "service.cli.keys:add_list"),
    "rotate": (
        "make a key in another's place, which holds on for a while",
        "service.cli.key_rotation:add",
    ),
    "revoke": ("make a key hold no longer", "service.cli.keys:add_revoke"),
}


def add(parser: Parser) -> None:
    """Add the verbs."""
    parser.branch("VERB", VERBS)


def add_create(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _create, Nothing, makes=True)
    add_tenant(parser, "the tenant that the user belongs to")
    parser.add_argument("--user", required=True, type=name, help="whom it stands for")
    parser.add_argument("--role", required=True, type=_role, help="what that user is: CFO, AUDITEE, ...")
    parser.add_argument(
        "--scope", action="append", default=[], choices=get_args(Scope), help="a further permission"
    )
    parser.add_argument("--expires", type=_span, help="for how long it holds: 90d, 12h, 30m")


def add_list(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _list, Nothing)
    add_tenant(parser)


def add_revoke(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _revoke, Nothing)
    parser.add_argument("id", type=text, help="as `parley keys list` shows it")


async def _create(desk: Desk) -> int:
    given, now = desk.given, microseconds()
    made = make_key(state.derived(desk.settings).pepper)
    expires_at = now + given.expires if given.expires else None
    await desk.database.keys.add(
        StoredKey(
            id=made.id,
            user_id=person_of(given.user, given.tenant),
            role=given.role,
            scopes=tuple(given.scope),
            digest=made.digest,
            created_at=now,
            expires_at=expires_at,
        )
    )
    told = {"id": made.id, "key": made.key, "user": given.user, "role": given.role}
    if given.tenant:
        told["tenant"] = given.tenant
    words = f"{made.key}\nShown once. User {plain(given.user)}, role {given.role}, id {made.id}."
    asking.show(desk, {**told, "expiresAt": _time(expires_at)}, lambda: words)
    return 0


async def _list(desk: Desk) -> int:
    keys, tenant = desk.database.keys, desk.given.tenant
    found = await (keys.within(tenant) if tenant else keys).list()
    rows = [_shown(key) for key in found]
    named = [plain(told_of(key.user_id)) for key in found]
    lines = [
        f"{row['id']}  {row['role']:12} {row['status']:8} {row['lastUsedAt'] or '-':24} {name}"
        for row, name in zip(rows, named, strict=True)
    ]
    asking.show(desk, rows, lambda: "\n".join(lines) or "no keys")
    return 0


async def _revoke(desk: Desk) -> int:
    key_id = desk.given.id
    revoked = await desk.database.keys.revoke(key_id, microseconds())
    words = "revoked" if revoked else "no such key, or revoked before"
    asking.show(desk, {"id": key_id, "revoked": revoked}, lambda: f"{plain(key_id)}: {words}")
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
        derived = house.derived
        door = KeyDoor(house.database.keys, derived.peppers, str, microseconds)
        await door.identify(key)
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
    tenant, user = parted(key.user_id)
    return {
        "id": key.id,
        "user": user,
        **({"tenant": tenant} if tenant else {}),
        "role": key.role,
        "scopes": list(key.scopes),
        "status": status_of(key, microseconds()),
        "createdAt": _time(key.created_at),
        "expiresAt": _time(key.expires_at),
        "revokedAt": _time(key.revoked_at),
        "lastUsedAt": _time(key.last_used_at),
    }


def _time(moment: int | None) -> str | None:
    return timestamp(moment) if moment is not None else None


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
