"""An export in CSV, read as the lines of JSON it says the same as, so that one verification serves both.

Refuses to guess what a cell means: it is what was sealed, told as a cell, or it is told as it stands.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from service.seal.leaf import COLUMNS, Value
from service.store.shown import shown
from service.web.export import HEADER, cell

BEGINNING = f'"{HEADER[0]}","{HEADER[1]}"'
"""What the first line of every such file begins with."""


def lines_of(text: Iterable[str]) -> Iterator[str]:
    """One JSON object for each record, the head left out; a record that is none comes as an empty object."""
    for row in csv.DictReader(text):
        yield msgspec.json.encode(_event(row)).decode()


def _event(cells: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        seal = msgspec.json.decode(cells["seal"], type=dict[str, Any])
        sealed = shown(_values(seal))
        metadata = msgspec.json.decode(cells["metadata"], type=dict[str, Any])
    except (TypeError, KeyError, ValueError, RecursionError):  # msgspec's own are ValueErrors
        return {}
    told = {name: _meant(cells[name], value) for name, value in sealed.items()}
    return told | {"metadata": metadata, "query": _meant(cells["query"], metadata.get("query")), "seal": seal}


def _values(seal: Mapping[str, Any]) -> tuple[Value, ...]:
    columns = msgspec.convert(seal["columns"], bytes)
    values = msgspec.msgpack.decode(columns, type=tuple[Any, ...])
    if len(values) != len(COLUMNS):
        raise ValueError("not the columns of an event")
    return values


def _meant(seen: str, value: Any) -> Any:
    """The value that a cell tells, where it is this one; else the cell."""
    return value if cell(value) == seen else seen
