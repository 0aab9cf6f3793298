"""A file that came with a question: as the model is shown it once, and as it is remembered.

Refuses to be remembered whole: a conversation and the audit keep its kind, size and digest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from service.agent.hold import Message
from telemetry.record import Attachment

PDF = "application/pdf"


class Attached(Struct, frozen=True, kw_only=True):
    """An image or a PDF; `data` is base64, `tokens` the most that it may be for the model."""

    fact: Attachment
    data: str
    tokens: int
    name: str | None = None

    @property
    def block(self) -> dict[str, Any]:
        """What the model is shown, in the Messages API's form."""
        source = {"type": "base64", "media_type": self.fact.type, "data": self.data}
        if self.fact.type == PDF:
            return {"type": "document", "source": source} | ({"title": self.name} if self.name else {})
        return {"type": "image", "source": source}

    @property
    def placeholder(self) -> dict[str, Any]:
        """What it is told later, when the file is not there any more."""
        kind = "document" if self.fact.type == PDF else "image"
        named = f"{kind} {self.name}" if self.name else kind
        return {"type": "text", "text": f"[{named}, {self.fact.type}, sha256 {self.fact.sha256}]"}


def asking(message: str, files: Sequence[Attached]) -> Message:
    """The user's message: its files before its text, as the API reads them best."""
    return _message(message, [each.block for each in files])


def remembered(message: str, files: Sequence[Attached]) -> Message:
    """The same as it is kept."""
    return _message(message, [each.placeholder for each in files])


def _message(message: str, blocks: Sequence[Mapping[str, Any]]) -> Message:
    content = [*blocks, {"type": "text", "text": message}] if blocks else message
    return {"role": "user", "content": content}
