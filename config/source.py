"""Where the text of a setting comes from: the environment, a `.env` file, a secret's own file.

Refuses to guess: a file that is named and cannot be read is a problem, never an absent setting.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Final, Literal

from dotenv.parser import Original, parse_stream
from msgspec import Struct

Origin = Literal["default", "env", ".env", "file"]

FILE: Final = "_FILE"
LONGEST_SECRET_FILE: Final = 65_536
"""Bytes; whatever is longer is no secret but a mistake."""


class Given(Struct, frozen=True, kw_only=True):
    """One setting's text as it was given; `name` is the variable that gave it."""

    name: str
    text: str
    origin: Origin


class Unreadable(Exception):
    """A source cannot be read; the message says why and holds nothing of its content."""


def gather(environ: Mapping[str, str], lines: Mapping[str, str], origin: Origin = ".env") -> dict[str, Given]:
    """Lay the environment over a file's lines; an empty text is as good as none."""
    from_file = {name: Given(name=name, text=text, origin=origin) for name, text in lines.items() if text}
    from_env = {name: Given(name=name, text=text, origin="env") for name, text in environ.items() if text}
    return from_file | from_env


def read_dotenv(path: Path) -> dict[str, str]:
    """Read NAME=value lines; `${...}` stays as it is written. No file is no lines.

    Raises:
        Unreadable: the file is there and is not such a file.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Unreadable(f"cannot be read: {_why(error)}") from None
    return dict(_lines(text))


def read_named(path: Path) -> dict[str, str]:
    """The same of a file that has to be there.

    Raises:
        Unreadable: it is not, or is not such a file.
    """
    try:
        there = path.is_file()
    except (OSError, ValueError):  # too long, or with a NUL in it
        there = False
    if not there:
        raise Unreadable("there is no such file")
    return read_dotenv(path)


def read_secret(path: str) -> str:
    """Read a secret from its file, without the newline that editors put at its end.

    Raises:
        Unreadable: the file is missing, no regular file, too long, empty, not UTF-8, or everybody's to write.
    """
    try:
        text = _read_short(Path(path)).decode("utf-8")
    except (OSError, ValueError) as error:
        raise Unreadable(f"the file cannot be read: {_why(error)}") from None
    text = text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")
    if not text:
        raise Unreadable("the file is empty")
    return text


def _why(error: OSError | ValueError) -> str:
    # a ValueError is a decoding error or a path with a NUL; its own words would quote the content
    return error.strerror or "no such file" if isinstance(error, OSError) else "it is not UTF-8 text"


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for binding in parse_stream(StringIO(text)):
        if binding.error or (binding.key and binding.value is None):
            raise Unreadable(f"line {_line_number(binding.original)} is not NAME=value")
        if binding.key and binding.value is not None:
            yield binding.key, binding.value


def _line_number(statement: Original) -> int:
    # the parser counts the blank lines before a statement as its own
    blank = len(statement.string) - len(statement.string.lstrip())
    return statement.line + statement.string[:blank].count("\n")


def _read_short(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise Unreadable("it names no regular file")
    with path.open("rb") as file:
        # who may read it is not asked: containers mount secrets readable to all, in a place of their own
        if os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
            raise Unreadable("everybody may write to the file, so anybody may choose the secret (chmod o-w)")
        content = file.read(LONGEST_SECRET_FILE + 1)
    if len(content) > LONGEST_SECRET_FILE:
        raise Unreadable("the file is too long for a secret")
    return content
