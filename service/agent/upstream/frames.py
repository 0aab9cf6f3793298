"""Server-sent events of the Messages API out of bytes: each frame's name and data, as JSON.

Refuses to judge them, or to hold back one that is whole: pings and events without a name are passed over, as
the SDK does it. Bounds are the body's.
"""

import json
from typing import Any

import msgspec

ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
LONGEST_END, LINE_ENDS = 4, b"\r\n"
PING = b"ping"
NAME, DATA = b"event: ", b"\ndata: "

Frame = tuple[bytes, bytes]


class Frames:
    """Takes bytes as they come, gives frames as they are whole; half a frame at the end is none."""

    def __init__(self) -> None:
        self._rest, self._plain = bytearray(), True

    def of(self, data: bytes) -> list[Frame]:
        """The frames that end in this piece."""
        found = None if self._rest else _usual(data)
        return self._of(data) if found is None else found

    def _of(self, data: bytes) -> list[Frame]:
        rest, at, start = self._rest, 0, max(0, len(self._rest) - LONGEST_END)
        rest += data
        self._plain = self._plain and b"\r" not in data
        found: list[Frame] = []
        while (end := self._end(max(at, start))) >= 0:
            if frame := _frame(bytes(rest[at:end])):
                found.append(frame)
            at = end
            while at < len(rest) and rest[at] in LINE_ENDS:
                at += 1
        del rest[:at]
        return found

    def _end(self, start: int) -> int:
        """Where the next frame ends, whatever ends its lines; -1 where none does."""
        if self._plain:
            return self._rest.find(ENDS[0], start)
        return min((at for end in ENDS if (at := self._rest.find(end, start)) >= 0), default=-1)


def _usual(data: bytes) -> list[Frame] | None:
    """Frames as the API writes them, which need not be read line by line; None where one is not so."""
    if data[-2:] != ENDS[0] or b"\r" in data:
        return None
    found: list[Frame] = []
    for each in data[:-2].split(ENDS[0]):
        line, between, said = each.partition(DATA)
        name = line.removeprefix(NAME)
        if not between or not name or name == line or b"\n" in name or b"\n" in said:
            return None
        if name != PING:
            found.append((name, said))
    return found


def json_of(data: bytes) -> Any:
    """JSON as Python reads it: it takes what is none by the letter, as half a surrogate pair.

    Raises:
        ValueError: it is none by any reading.
    """
    try:
        return _read(data)
    except RecursionError:
        raise ValueError("It is nested too deeply.") from None


def _read(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(data)


def _frame(lines: bytes) -> Frame | None:
    """A frame's name and data; None where it has no name or no data, or is a ping."""
    name, data = b"", list[bytes]()
    for line in lines.splitlines():
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value
        elif field == b"data":
            data.append(value)
    if not name or name == PING or not data:
        return None
    return name, b"\n".join(data)
