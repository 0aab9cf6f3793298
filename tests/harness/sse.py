"""Server-sent events, parsed as the WHATWG standard says, from bytes cut anywhere.

Refuses to guess: an event whose closing blank line did not come is never told.
"""

import codecs
import json
import re
from typing import Any

from msgspec import Struct

_LINE = re.compile(r"\r\n|\n|\r")


class Event(Struct, frozen=True, kw_only=True):
    """One event: `text` is its data as sent, `comments` those that came since the event before it."""

    id: str
    event: str
    text: str
    comments: tuple[str, ...] = ()

    @property
    def data(self) -> Any:
        """The data as JSON; a ValueError where it is none."""
        return json.loads(self.text)


class Parser:
    """Turns bytes into events as they become complete; `comments` are all comments so far."""

    def __init__(self) -> None:
        self.comments: list[str] = []
        self.retry: int | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._rest = ""
        self._after_cr = False
        self._id = ""
        self._told = 0
        self._clear()

    def feed(self, piece: bytes) -> list[Event]:
        """Take the next bytes and return the events that they complete, often none."""
        *lines, self._rest = _LINE.split(self._rest + self._unpaired(self._decoder.decode(piece)))
        return [event for line in lines if (event := self._take(line))]

    def _unpaired(self, text: str) -> str:
        # A CR ends its line at once; the LF of a CRLF that was cut in two must not end another.
        if text and self._after_cr:
            text, self._after_cr = text.removeprefix("\n"), text.endswith("\r")
        elif text:
            self._after_cr = text.endswith("\r")
        return text

    def _take(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        self._field(name, value.removeprefix(" "))
        return None

    def _field(self, name: str, value: str) -> None:
        match name:
            case "":
                self.comments.append(value)
            case "data":
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry = int(value)
            case _:
                pass  # the standard: an unknown field is no field

    def _dispatch(self) -> Event | None:
        data, name = self._data, self._event or "message"
        self._clear()
        if not data:
            return None
        comments, self._told = tuple(self.comments[self._told :]), len(self.comments)
        return Event(id=self._id, event=name, text="\n".join(data), comments=comments)

    def _clear(self) -> None:
        self._data: list[str] = []
        self._event = ""
