"""Opens sealed texts for those who may see them, an event at a time or a page.

Refuses to fail over a text that does not open: its place says `unreadable`.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, structs
from piccolo.querystring import QueryString

from service.seal import content
from service.seal.content import ContentUnreadable
from service.seal.vault import Vault
from service.store.event import Event
from service.store.listed import listed
from service.store.sealing import arguments_of
from service.store.tenancy import Reading
from telemetry.canonical import commitment

SEALED, UNREADABLE = "sealed", "unreadable"
"""States of a text, as metadata's `content` says them."""

Shown = TypeVar("Shown", bound=Event)

FIND = (
    "SELECT event.id, content.subject_id, content.sealed, subject.data_key FROM audit_event AS event "
    "JOIN audit_content AS content ON content.log_index = event.log_index "
    "LEFT JOIN audit_subject AS subject ON subject.id = content.subject_id "
    "WHERE content.sealed IS NOT NULL AND event.id IN ({})"
)


CALLS = (
    "SELECT event.id, kept.subject_id, kept.sealed, subject.data_key FROM audit_event AS event "
    "JOIN audit_arguments AS kept ON kept.log_index = event.log_index "
    "LEFT JOIN audit_subject AS subject ON subject.id = kept.subject_id WHERE event.id = {}"
)


class Called(Struct, rename="camel"):
    """What a tool was called with: canonical JSON, and the salt of its commitment in hex."""

    call_id: str
    salt: str
    arguments: str


class Opening:
    """Opens texts by the keys of this installation; every method raises DatabaseError."""

    def __init__(self, engine: Reading, vault: Vault) -> None:
        self._engine, self._vault = engine, vault

    async def one(self, event: Shown) -> Shown:
        """An event with its text, and what its tools were called with."""
        (opened,) = await self.page([event])
        if not event.metadata.get("toolCalls"):
            return opened
        rows = await self._engine.ask(QueryString(CALLS, event.id))
        said = self._called(rows[0]) if rows else ()
        calls = [_with_arguments(call, said) for call in event.metadata["toolCalls"]]
        return structs.replace(opened, metadata={**opened.metadata, "toolCalls": calls})

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
            said = {"query": self._text(sealed[event.id], event.id, keys)}
        except (ContentUnreadable, KeyError):
            said = {"query": None, "content": UNREADABLE}
        rest = {name: value for name, value in event.metadata.items() if name not in {"query", "content"}}
        return structs.replace(event, metadata={**rest, **said})

    def _called(self, row: Mapping[str, Any]) -> Sequence[Called]:
        """What does not open is as if it were not there."""
        try:
            text = self._text(row, arguments_of(str(row["id"])), {})
            return msgspec.json.decode(text, type=list[Called])
        except (ContentUnreadable, msgspec.DecodeError):
            return ()

    def _text(self, row: Mapping[str, Any], name: str, keys: dict[str, bytes]) -> str:
        """A text that was sealed under a name; `keys` are the data keys that are open already."""
        sealed, wrapped = bytes(row["sealed"]), row["data_key"]
        if wrapped is None:
            return self._vault.open(sealed, name).decode()
        subject_id = str(row["subject_id"])
        if subject_id not in keys:
            keys[subject_id] = self._vault.open_key(bytes(wrapped), subject_id)
        return content.open_text(keys[subject_id], name, sealed)


def _with_arguments(call: Mapping[str, Any], said: Sequence[Called]) -> Mapping[str, Any]:
    """A call as it is told, with its arguments where they are the ones that were committed to."""
    for each in said:
        if each.call_id == call.get("callId") and _committed(call, each):
            return {**call, "arguments": msgspec.json.decode(each.arguments), "argumentsSalt": each.salt}
    return {**call, "arguments": None}


def _committed(call: Mapping[str, Any], said: Called) -> bool:
    try:
        return commitment(said.salt, said.arguments) == call.get("argumentsCommitment")
    except ValueError:  # the salt is no hex
        return False
