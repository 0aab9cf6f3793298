"""What an MCP server answers to a call, as text for the model.

Refuses to pass on what is no text: an image is named, not shown. What a server says of its own failure is
told as its words, bounded.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from service.errors import ToolFailed
from service.tools.mcp.listing import printable

if TYPE_CHECKING:
    from mcp.types import CallToolResult

FAILURE = 500


def text_of(result: "CallToolResult", server: str) -> str:
    """The result as text: its parts by the line, and what is structured as JSON where no part says it.

    Raises:
        ToolFailed: the server says that it failed, in its words.
    """
    parts = [_text(part) for part in result.content]
    structured = result.structured_content
    if structured is not None and not any(_says(part, structured) for part in parts):
        parts.append(msgspec.json.encode(structured).decode())
    text = "\n".join(parts)
    if result.is_error:
        said = printable(" ".join(text.split()), FAILURE) or "nothing more"
        raise ToolFailed(f"The server {server} says that it failed: {said}")
    return text or "(nothing)"


def _text(part: Any) -> str:
    """One part of a result; what is no text is named."""
    if part.type == "text":
        return part.text
    if part.type == "resource_link":
        return f"[link: {printable(part.name, 200)}, {printable(str(part.uri), 500)}]"
    if part.type == "resource":
        return _resource(part.resource)
    return f"[{part.type}: {printable(part.mime_type, 100)}, not shown]"


def _resource(resource: Any) -> str:
    where = printable(str(resource.uri), 500)
    text = getattr(resource, "text", None)
    if isinstance(text, str):
        return f"[resource: {where}]\n{text}"
    return f"[resource: {where}, {printable(resource.mime_type or 'of no type', 100)}, not shown]"


def _says(part: str, structured: object) -> bool:
    """Whether a part is the same as JSON: servers say it twice, for clients of before there was structure."""
    try:
        return msgspec.json.decode(part) == structured
    except ValueError:
        return False
