"""Who a random subject id stands for: the one place where a user's name meets the audit's rows.

Refuses to link anybody whose content was erased: a row asked before that gets an id that leads nowhere.
"""

from collections.abc import Iterable, Mapping
from secrets import token_hex
from typing import Any

from msgspec import Struct

from service.seal.vault import Vault
from service.store.engine import Load, Plain, Script
from service.store.listed import among
from service.store.text import storable

ID_BYTES = 16
TABLE = "audit_subject"
COLUMNS = ("id", "user_id", "data_key", "key_id", "created_at")
FOUND = "SELECT id, user_id, data_key, key_id FROM audit_subject WHERE user_id IN ({list})"
ERASED = Plain("SELECT user_digest, erased_at FROM audit_erased")


class Subject(Struct, frozen=True):
    """One person to the audit; `data_key` is wrapped, None where nothing of theirs is sealed."""

    id: str
    user_id: str | None
    data_key: bytes | None = None


class Named(Struct, frozen=True):
    """The subjects of a batch. `erased_at` has, by digest, until when somebody's content was erased."""

    vault: Vault
    known: Mapping[str, Subject]
    erased_at: Mapping[bytes, int]

    def of(self, user: str | None, asked_at: int) -> Subject | None:
        """Whom a row is about; None for nobody. One asked before an erasure is about a stranger."""
        if user is None:
            return None
        return Subject(new_id(), None) if self.erased(user, asked_at) else self.known[storable(user)]

    def erased(self, user: str, asked_at: int) -> bool:
        """Whether what this user asked at that time is to be forgotten before it was ever written."""
        if not self.erased_at:
            return False
        digests = self.vault.digests(storable(user))
        return max(self.erased_at.get(digest, -1) for digest in digests) >= asked_at


def named(asked: Iterable[tuple[str, int]], vault: Vault, dialect: str, now: int) -> Script[Named]:
    """Find the users of rows, each with the time of its row, and make those that are not there.

    Times are microseconds since 1970 (UTC). Whoever asked before an erasure only is not made again.
    """
    erased = {bytes(row["user_digest"]): int(row["erased_at"]) for row in (yield ERASED)}
    nobody = Named(vault, {}, erased)
    wanted = tuple(dict.fromkeys(storable(user) for user, at in asked if not nobody.erased(user, at)))
    found = yield among(FOUND, dialect, wanted)
    known = {row["user_id"]: _subject(row) for row in found}
    key_id = vault.key_id  # before a key is wrapped: one that rotates meanwhile is wrapped anew, never left
    made = {user: _made(user, vault) for user in wanted if user not in known}
    if made:
        rows = [(each.id, each.user_id, each.data_key, key_id, now) for each in made.values()]
        yield Load(TABLE, COLUMNS, rows)
    return Named(vault, known | made, erased)


def new_id() -> str:
    """A name that says nothing about anybody: 32 hex characters."""
    return token_hex(ID_BYTES)


def _made(user: str, vault: Vault) -> Subject:
    subject_id = new_id()
    return Subject(subject_id, user, vault.new_key(subject_id))


def _subject(row: Mapping[str, Any]) -> Subject:
    key = row["data_key"]
    return Subject(str(row["id"]), str(row["user_id"]), None if key is None else bytes(key))
