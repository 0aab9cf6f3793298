"""The words of a text, as they are searched for: the same on every engine.

Refuses nothing: what is no letter or digit stands between words.
"""

import re
import unicodedata
from collections.abc import Sequence

WORD = re.compile(r"[^\W_]+")
LONGEST = 200
"""Characters of a word that count: an index has no room for any length."""


def words_of(text: str) -> Sequence[str]:
    """The distinct words in the order of their first place, in lower case."""
    found = WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return tuple(dict.fromkeys(word[:LONGEST] for word in found))
