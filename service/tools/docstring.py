"""What a function's docstring says of it, for a model: its first paragraph, and a line for each parameter.

Refuses nothing: what is not written in Google's style is not found.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

ARGUMENTS = "Args:"
ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)")


def summary(function: Callable[..., Any]) -> str:
    """The first paragraph in one line; empty where there is none."""
    paragraph = (inspect.getdoc(function) or "").partition("\n\n")[0]
    return "" if paragraph.startswith(ARGUMENTS) else " ".join(paragraph.split())


def parameters(function: Callable[..., Any]) -> Mapping[str, str]:
    """What its section `Args:` says of each parameter, in one line each."""
    found: dict[str, list[str]] = {}
    name, margin = "", None
    for line in _section(inspect.getdoc(function) or ""):
        depth = len(line) - len(line.lstrip())
        margin = depth if margin is None else margin
        entry = ENTRY.fullmatch(line.strip()) if depth == margin else None
        if entry:
            name = entry[1]
            found[name] = [entry[2]]
        elif name:
            found[name].append(line.strip())
    return {each: " ".join(filter(None, lines)) for each, lines in found.items()}


def _section(text: str) -> Iterator[str]:
    """The lines below `Args:`, as far as they are indented."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.strip() == ARGUMENTS:
            break
    for line in lines:
        if line.strip() and not line[0].isspace():
            return
        if line.strip():
            yield line
