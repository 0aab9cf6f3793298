"""Text as a database can hold it.

Refuses what is no text, and drops nothing: what no database takes is written out as an escape that shows.
"""

import re

from service.errors import RowRefused

ESCAPE = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u(?=0000|[dD][89a-fA-F])"
)
"""In JSON: an escaped backslash, a whole surrogate pair, or the start of what no text may hold."""


def storable(text: str) -> str:
    r"""Write a NUL as the six characters `\u0000` and each lone surrogate as `\ud800` and so on.

    Both are JSON's own escapes: JSON text keeps its meaning.

    Raises:
        RowRefused: it is no text at all.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - rows come from anywhere
        raise RowRefused("A text of the row is none.")
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode("utf-8")


def storable_json(text: str) -> str:
    r"""Write out what is within the strings of a JSON text and no text may hold; all else stays as it is.

    JSON's grammar lets an escape name a NUL or half of a surrogate pair, PostgreSQL's jsonb does not: such an
    escape becomes text that shows it, `\\u0000`.
    """
    kept = storable(text)
    return ESCAPE.sub(_written_out, kept) if "\\u" in kept else kept


def _written_out(found: re.Match[str]) -> str:
    return r"\\u" if found[0] == r"\u" else found[0]
