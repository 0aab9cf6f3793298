"""Text as a database can hold it.

Refuses nothing and drops nothing: what no database takes is written out as an escape that can be seen.
"""


def storable(text: str) -> str:
    r"""Write a NUL as the six characters `\u0000` and each lone surrogate as `\ud800` and so on.

    Both are JSON's own escapes: JSON text keeps its meaning.
    """
    return text.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode("utf-8")
