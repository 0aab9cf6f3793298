"""A new master key: data keys are wrapped anew under it, and what a master key seals itself is sealed anew.

Refuses to lose anything: what opens with none of the keys stays as it is, and is counted.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from msgspec import Struct, structs
from piccolo.querystring import QueryString

from service.seal.content import ContentUnreadable
from service.seal.vault import Vault
from service.store.audit import appended
from service.store.engine import Ask, Script, StoreEngine
from service.store.row import AuditRow

STEP = 500
"""Rows that are looked at in one transaction."""

DATA_KEYS = (
    "SELECT id AS place, id AS name, data_key AS sealed FROM audit_subject "
    "WHERE id > {} AND data_key IS NOT NULL AND key_id <> {} ORDER BY id LIMIT {}"
)
CONTENTS = (
    "SELECT content.log_index AS place, event.id AS name, content.sealed FROM audit_content AS content "
    "JOIN audit_event AS event ON event.log_index = content.log_index "
    "LEFT JOIN audit_subject AS subject ON subject.id = content.subject_id "
    "WHERE content.log_index > {} AND content.sealed IS NOT NULL AND subject.data_key IS NULL "
    "ORDER BY content.log_index LIMIT {}"
)
ARGUMENTS = (
    "SELECT kept.log_index AS place, event.id || '/arguments' AS name, kept.sealed "
    "FROM audit_arguments AS kept JOIN audit_event AS event ON event.log_index = kept.log_index "
    "LEFT JOIN audit_subject AS subject ON subject.id = kept.subject_id "
    "WHERE kept.log_index > {} AND subject.data_key IS NULL ORDER BY kept.log_index LIMIT {}"
)
QUARANTINED = (
    "SELECT id AS place, id AS name, raw AS sealed FROM audit_quarantine "
    "WHERE id > {} AND raw IS NOT NULL ORDER BY id LIMIT {}"
)
WRAP = "UPDATE audit_subject SET data_key = {}, key_id = {} WHERE id = {}"
RESEAL = "UPDATE audit_content SET sealed = {} WHERE log_index = {}"
RESEAL_ARGUMENTS = "UPDATE audit_arguments SET sealed = {} WHERE log_index = {}"
PUT_ASIDE = "UPDATE audit_quarantine SET raw = {} WHERE id = {}"


class Rotated(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was sealed anew; `unreadable` opens with none of the keys there are."""

    data_keys: int = 0
    contents: int = 0
    quarantined: int = 0
    unreadable: int = 0

    def __add__(self, other: "Rotated") -> "Rotated":
        """Both together."""
        return Rotated(
            **{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__}
        )


Tell = Callable[[str, Rotated], AuditRow]
"""The event that says what one transaction did, by the name of the new key."""


class Step(Struct, frozen=True):
    """Some rows that were looked at, up to a place: None where they were the last."""

    place: Any
    done: Rotated


class Sort(Struct, frozen=True):
    """One sort of what a master key seals: its name in the counts, how it is found and written, its start."""

    name: str
    find: Callable[[Any], QueryString]
    write: Callable[[bytes, Any], QueryString]
    start: Any


class Rotation:
    """Brings everything under the newest master key; may be stopped and begun again at any time."""

    def __init__(self, engine: StoreEngine, vault: Vault) -> None:
        self._engine, self._vault, self._dialect = engine, vault, engine.engine_type
        self._newest = Vault(masters=vault.masters[:1])

    async def rotate(self, tell: Tell) -> Rotated:
        """Do all of it, some hundred rows a transaction, each with its event.

        Raises:
            ContentUnreadable: there is no master key.
            DatabaseError: it stopped on the way; what was done is told in the log.
        """
        key_id = self._newest.key_id
        if key_id is None:
            raise ContentUnreadable("There is no master key to rotate to.")
        done = Rotated()
        for sort in sorts(key_id):
            step = Step(sort.start, done)
            while step.place is not None:
                step = await self._engine.run_script(partial(self._resealing, sort, step.place, tell))
                done += step.done
        return done

    def _resealing(self, sort: Sort, place: Any, tell: Tell) -> Script[Step]:
        rows = yield Ask(sort.find(place))
        done = unreadable = 0
        for row in rows:
            try:
                anew = self._anew(row)
            except ContentUnreadable:
                unreadable += 1
                continue
            if anew is not None:
                yield Ask(sort.write(anew, row["place"]))
                done += 1
        rotated = structs.replace(Rotated(unreadable=unreadable), **{sort.name: done})
        if done:
            yield from appended([tell(str(self._newest.key_id), rotated)], self._vault, self._dialect)
        return Step(_last(rows), rotated)

    def _anew(self, row: Mapping[str, Any]) -> bytes | None:
        """The same under the newest key; None where it is so already."""
        sealed, name = bytes(row["sealed"]), str(row["name"])
        with suppress(ContentUnreadable):
            self._newest.open(sealed, name)
            return None
        return self._newest.seal(self._vault.open(sealed, name), name)


def _last(rows: Sequence[Mapping[str, Any]]) -> Any:
    return rows[-1]["place"] if len(rows) == STEP else None


def sorts(key_id: str) -> Sequence[Sort]:
    """All that a master key seals."""
    return (
        Sort(
            "data_keys",
            lambda place: QueryString(DATA_KEYS, place, key_id, STEP),
            lambda sealed, place: QueryString(WRAP, sealed, key_id, place),
            "",
        ),
        Sort(
            "contents",
            lambda place: QueryString(CONTENTS, place, STEP),
            lambda sealed, place: QueryString(RESEAL, sealed, place),
            -1,
        ),
        Sort(
            "contents",
            lambda place: QueryString(ARGUMENTS, place, STEP),
            lambda sealed, place: QueryString(RESEAL_ARGUMENTS, sealed, place),
            -1,
        ),
        Sort(
            "quarantined",
            lambda place: QueryString(QUARANTINED, place, STEP),
            lambda sealed, place: QueryString(PUT_ASIDE, sealed, place),
            "",
        ),
    )
