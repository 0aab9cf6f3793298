"""Audit events as a file of lines, written while they are read: JSON Lines, or CSV a spreadsheet cannot run.

Refuses to end short in silence: where reading fails, the last line says so and the connection breaks.
"""

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct

from service.errors import classify, text_of
from service.store.event import NAMES, Event

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet would take for a formula."""
HEADER = (*NAMES, "query", "seal")
"""The view's columns, the query once more on its own, and the proof as JSON."""

Change = Callable[[Event], Event]


class Form(Struct, frozen=True):
    """How events are written; `failed` takes one sentence for the last line of a file that is not whole."""

    media_type: str
    head: str
    lines: Callable[[Iterable[Event]], str]
    failed: Callable[[str], str]


async def told(
    form: Form, first: Sequence[Event], rest: AsyncGenerator[Sequence[Event]], change: Change
) -> AsyncIterator[str]:
    """Write page by page; `change` is done to each event.

    Raises:
        DatabaseError: after the line that says so; the file is not whole.
    """
    try:
        yield form.head + form.lines(map(change, first))
        async for page in rest:
            yield form.lines(map(change, page))
    except Exception as error:
        yield form.failed(f"The export is not complete. {text_of(classify(error))}")
        raise
    finally:
        await rest.aclose()


def json_lines(events: Iterable[Event]) -> str:
    """One JSON object a line."""
    return "".join(msgspec.json.encode(event).decode() + "\n" for event in events)


def csv_lines(events: Iterable[Event]) -> str:
    """One record an event (RFC 4180), every cell in quotes."""
    return _csv(map(_cells, events))


def _cells(event: Event) -> list[str]:
    values: Mapping[str, Any] = msgspec.to_builtins(event)
    metadata = dict(values["metadata"])
    query = metadata.get("query")
    return [*(cell(values[name]) for name in NAMES), cell(query), cell(values.get("seal"))]


def cell(value: Any) -> str:
    """One value as text that no spreadsheet takes for a formula; nothing for null."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"'{text}" if text.startswith(FORMULA) else text


def _csv(rows: Iterable[Iterable[str]]) -> str:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows(rows)
    return written.getvalue()


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "jsonl": Form(
            "application/x-ndjson",
            "",
            json_lines,
            lambda sentence: msgspec.json.encode({"error": sentence}).decode() + "\n",
        ),
        "csv": Form("text/csv", _csv([HEADER]), csv_lines, lambda sentence: _csv([[f"# {sentence}"]])),
    }
)
