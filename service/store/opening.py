"""Opens sealed texts for those who may see them, an event at a time or a page.

Refuses to fail over a text that does not open: its place says `unreadable`.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import structs
from piccolo.querystring import QueryString

from service.seal import content
from service.seal.content import ContentUnreadable
from service.seal.vault import Vault
from service.store.event import Event
from service.store.listed import listed
from service.store.questions import Reading

SEALED, UNREADABLE = "sealed", "unreadable"
"""States of a text, as metadata's `content` says them."""

Shown = TypeVar("Shown", bound=Event)

FIND = (
    "SELECT event.id, content.subject_id, content.sealed, subject.data_key FROM audit_event AS event "
    "JOIN audit_content AS content ON content.log_index = event.log_index "
    "LEFT JOIN audit_subject AS subject ON subject.id = content.subject_id "
    "WHERE content.sealed IS NOT NULL AND event.id IN ({})"
)


class Opening:
    """Opens texts by the keys of this installation; every method raises DatabaseError."""

    def __init__(self, engine: Reading, vault: Vault) -> None:
        self._engine, self._vault = engine, vault

    async def one(self, event: Shown) -> Shown:
        """An event with its text."""
        (opened,) = await self.page([event])
        return opened

    async def page(self, events: Sequence[Shown]) -> Sequence[Shown]:
        """Events with their texts: `query` has it and `content` goes; all others stay as they are.

        What was erased since the events were read is `unreadable`.
        """
        wanted = [event.id for event in events if event.metadata.get("content") == SEALED]
        if not wanted:
            return events
        rows = await self._engine.ask(QueryString(FIND, listed(self._engine.engine_type, wanted)))
        sealed = {str(row["id"]): row for row in rows}
        keys: dict[str, bytes] = {}
        return [self._opened(event, sealed, keys) if event.id in wanted else event for event in events]

    async def pages(self, pages: AsyncGenerator[Sequence[Shown]]) -> AsyncGenerator[Sequence[Shown]]:
        """Page after page."""
        try:
            async for page in pages:
                yield await self.page(page)
        finally:
            await pages.aclose()

    def _opened(self, event: Shown, sealed: Mapping[str, Mapping[str, Any]], keys: dict[str, bytes]) -> Shown:
        try:
            said = {"query": self._text(sealed[event.id], keys)}
        except (ContentUnreadable, KeyError):
            said = {"query": None, "content": UNREADABLE}
        rest = {name: value for name, value in event.metadata.items() if name not in {"query", "content"}}
        return structs.replace(event, metadata={**rest, **said})

    def _text(self, row: Mapping[str, Any], keys: dict[str, bytes]) -> str:
        """A text; `keys` are the data keys that are open already."""
        event_id, sealed, wrapped = str(row["id"]), bytes(row["sealed"]), row["data_key"]
        if wrapped is None:
            return self._vault.open(sealed, event_id).decode()
        subject_id = str(row["subject_id"])
        if subject_id not in keys:
            keys[subject_id] = self._vault.open_key(bytes(wrapped), subject_id)
        return content.open_text(keys[subject_id], event_id, sealed)
