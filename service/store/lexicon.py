"""The words of clear texts in SQLite's index, taken out before their texts go.

Refuses nothing: PostgreSQL keeps the words beside the text, where they go with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from piccolo.querystring import QueryString

from service.store.engine import Ask, Script
from service.store.words import words_of

FORGET = "INSERT INTO audit_words (audit_words, rowid, words) VALUES ('delete', {}, {})"
"""The index holds no text of its own: it must be told again which words to take out."""


def unlisted(dialect: str, contents: Sequence[Mapping[str, Any]]) -> Script[None]:
    """Take the words of these contents out; each has its `log_index` and its `query`."""
    if dialect != "sqlite":
        return
    for each in contents:
        if each["query"]:
            yield Ask(QueryString(FORGET, each["log_index"], " ".join(words_of(each["query"]))))
