"""Bytes and texts near to good ones: cut, doubled, flipped and spliced, as damage and forgers make them.

Refuses to be all noise: what is far from a good form is refused at its first byte, and tries nothing else.
"""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import seed, settings
from hypothesis import strategies as st

STEPS = int(os.environ.get("PARLEY_STEPS", "150"))
"""Examples of each parser."""
SEED = int(os.environ.get("PARLEY_SEED", "12"))
"""Of the examples: the short profile's are the same each time."""
MOST = 4_096

NASTY = (
    "\0",
    "\ud800",
    "\u202e",
    "\u2028",
    "\r\n",
    "\x1b[2J",
    "\ufeff",
    "\u0663",
    "\uff19" * 30,
    "-1",
    "1e400",
    "NaN",
)
"""What has been somebody's undoing: NUL, a half of a pair, bidi, ends of lines, digits that are none."""

Test = Callable[..., Any]


def fuzzed(test: Test) -> Test:
    """Run a test over the profile's examples, from the profile's seed, keeping none for another run."""
    return seed(SEED)(settings(max_examples=STEPS, database=None)(test))


def texts() -> st.SearchStrategy[str]:
    """Any text, and any with something nasty in it."""
    odd = st.sampled_from(NASTY)
    piece = st.one_of(odd, st.text(st.characters(exclude_categories=()), max_size=20))
    return st.lists(piece, max_size=8).map("".join)


@st.composite
def near(draw: Any, good: bytes) -> bytes:
    """A good form, changed in up to four places."""
    data = bytearray(good)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        end = min(len(data), at + draw(st.integers(0, 12)))
        other = draw(st.one_of(st.binary(max_size=12), st.just(bytes(data[at:end]) * 2)))
        data[at:end] = other
    return bytes(data[:MOST])


def near_text(good: str) -> st.SearchStrategy[str]:
    """The same of a text, in any of its readings."""
    changed = near(good.encode()).map(lambda data: data.decode("utf-8", "surrogateescape"))
    return st.one_of(changed, st.tuples(changed, texts()).map("".join), texts())
