"""Texts of somebody's own beside the audit: sealed under their key, which goes when they are forgotten.

Refuses to keep a text in clear: where there is no key at all, none is kept.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from service.seal import content
from service.seal.content import ContentUnreadable
from service.seal.vault import Vault
from service.store import subjects
from service.store.engine import Script
from service.store.text import storable

KEY = "subject.id AS subject_id, subject.data_key"
JOINED = "LEFT JOIN audit_subject AS subject ON subject.user_id = kept.user_id"


def reading(columns: str, table: str) -> str:
    """The beginning of a statement that reads a table, as `kept`, with the keys of its rows' users."""
    return f"SELECT {columns}, {KEY} FROM {table} AS kept {JOINED} "  # noqa: S608 - our own words


def sealed(text: str, name: str, user: str, now: int, vault: Vault, dialect: str) -> Script[bytes | None]:
    """A user's text, sealed under its name; None where there is no key.

    Args:
        text: what is sealed.
        name: what it is, without which it does not open.
        user: whose, as the store keeps the name.
        now: microseconds since 1970 (UTC).
        vault: the keys.
        dialect: the database's.
    """
    named = yield from subjects.named([(user, now)], vault, dialect, now)
    subject = named.of(user, now)
    if subject is None or subject.data_key is None:  # one who was known before texts were sealed
        return vault.seal(storable(text).encode(), name) if vault.masters else None
    return content.seal_text(vault.open_key(subject.data_key, subject.id), name, storable(text))


def opened(row: Mapping[str, Any], column: str, name: str, vault: Vault) -> str | None:
    """The text of a row that has its user's key beside it; None where there is none, or it does not open."""
    kept, wrapped = row[column], row["data_key"]
    if kept is None:
        return None
    with suppress(ContentUnreadable):
        if wrapped is not None:
            key = vault.open_key(bytes(wrapped), str(row["subject_id"]))
            return content.open_text(key, name, bytes(kept))
        return vault.open(bytes(kept), name).decode()
    return None
