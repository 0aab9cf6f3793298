"""Which characters no line and no terminal is given as they are.

Refuses to load anything: commands print by it too.
"""

import re

_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What JSON lets through and a terminal or a line reader trips over."""


def escaped(text: str) -> str:
    """JSON that says the same without them."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
