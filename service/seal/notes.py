"""Finds checkpoints in what somebody kept: notes one after another, or JSON that carries them.

Refuses to judge them: a broken one is found as well, so that whoever reads it can say that it is broken.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

FIELD = "checkpoint"
"""The JSON field a note is told under, at any depth: of a log line, or of a line of an export."""

NOTE = re.compile(r"(?:[^\n]+\n)+\n(?:\u2014 [^\n]*\n)+")
BYTE_ORDER_MARK = "\ufeff"


def checkpoints_in(text: str) -> list[str]:
    """The notes in a file's text, each once; those in JSON come first.

    Windows line ends, a missing last one and spaces at the ends of lines are fine.
    """
    lines = [line.rstrip() for line in text.removeprefix(BYTE_ORDER_MARK).split("\n")]
    whole = _decoded("\n".join(lines)) if lines[0].startswith("{") else None  # one document over many lines
    told = [_decoded(line) for line in lines] if whole is None else [whole]
    raw = "\n".join("" if said else line for line, said in zip(lines, told, strict=False)) + "\n"
    found = [note for document in told for note in _carried(document)]
    return list(dict.fromkeys([*found, *NOTE.findall(raw if whole is None else "")]))


def _decoded(text: str) -> Any:
    """The JSON object of a line, also behind words that a log's keeper puts before it; None without one."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        return msgspec.json.decode(text[start:])
    except (ValueError, RecursionError):  # msgspec's own error is a ValueError
        return None


def _carried(document: Any) -> Iterator[str]:
    """The notes under the field, at any depth, without recursion: what is read was written by anybody."""
    waiting: list[Any] = [document]
    while waiting:
        each: Any = waiting.pop()
        if isinstance(each, Mapping):
            fields = cast("Mapping[str, Any]", each)
            note = fields.get(FIELD)
            if isinstance(note, str):
                yield note
            waiting.extend(fields.values())
        elif isinstance(each, Sequence) and not isinstance(each, str):
            waiting.extend(cast("Sequence[Any]", each))
