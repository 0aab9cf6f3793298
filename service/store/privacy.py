"""A user's own texts outside the audit, sealed under the data key by which the audit seals theirs.

Refuses to open what was moved to another place, or sealed for another user. Keys are opened for one use and
kept nowhere: a key that was forgotten is not known to any process.
"""

from collections.abc import Mapping
from typing import Any

from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.seal import content
from service.seal.content import ContentUnreadable
from service.seal.vault import Vault
from service.store import subjects
from service.store.engine import Ask, Script

UNREADABLE = "Content in the database is unreadable: its key is gone, or it was damaged."
KEYED = "SELECT id AS subject_id, data_key FROM audit_subject WHERE user_id = {}"


class Unreadable(DatabaseError):
    """What is sealed does not open; it stays as it is."""


class Lock:
    """One user's data key; without one, texts are kept in clear."""

    def __init__(self, vault: Vault, row: Mapping[str, Any]) -> None:
        """`row` has `subject_id` and `data_key`, both null where the user has none."""
        self._vault, self._subject_id, self._wrapped = vault, row["subject_id"], row["data_key"]
        self._opened: bytes | None = None

    @property
    def there(self) -> bool:
        """Whether it can seal."""
        return self._wrapped is not None

    def seal(self, text: str, place: str) -> tuple[str, bytes | None]:
        """What stands in the clear column and in the sealed one; raises Unreadable."""
        if not self.there:
            return text, None
        return "", content.seal_text(self._key(), place, text)

    def open(self, clear: str, sealed: Any, place: str) -> str:
        """The text again; raises Unreadable."""
        if sealed is None:
            return clear
        try:
            return content.open_text(self._key(), place, bytes(sealed))
        except ContentUnreadable as error:
            raise Unreadable(UNREADABLE) from error

    def _key(self) -> bytes:
        if self._wrapped is None:
            raise Unreadable(UNREADABLE)
        if self._opened is None:
            try:
                self._opened = self._vault.open_key(bytes(self._wrapped), str(self._subject_id))
            except ContentUnreadable as error:
                raise Unreadable(UNREADABLE) from error
        return self._opened


def locked(user: str, vault: Vault, dialect: str, at: int) -> Script[Lock]:
    """The lock of a user, made where there is none; `at` is microseconds since 1970 (UTC).

    Whoever was erased after `at` gets none.
    """
    found = yield Ask(QueryString(KEYED, user))
    if not found:
        yield from subjects.named([(user, at)], vault, dialect, at)
        found = yield Ask(QueryString(KEYED, user))
    return Lock(vault, found[0] if found else NOBODY)


NOBODY: Mapping[str, Any] = {"subject_id": None, "data_key": None}
