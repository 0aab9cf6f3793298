"""The request of the Messages API: its shape, and what the API refuses about it.

Refuses with HTTP 400 and the name of the field, in the API's own words where they are known.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from service.simulator.error import ApiError


class CacheControl(Struct, frozen=True, kw_only=True):
    """A cache breakpoint; `ttl` is 5m or 1h."""

    type: str = "ephemeral"
    ttl: str = "5m"


class Block(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One content block; which fields must be there depends on `type` (see `NEEDED`)."""

    type: str
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None
    tool_use_id: str | None = None
    content: "str | list[Block] | dict[str, Any] | None" = None
    is_error: bool | None = None
    source: Any = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    cache_control: CacheControl | None = None

    @property
    def said(self) -> str:
        """The text of the block, or of the blocks in its content."""
        if isinstance(self.content, list):
            return "\n".join(block.said for block in self.content)
        return self.content if isinstance(self.content, str) else self.text or ""


class Message(Struct, frozen=True, kw_only=True):
    """One message of the conversation."""

    role: str
    content: str | list[Block]

    @property
    def blocks(self) -> list[Block]:
        """The content as blocks; a string is short for one text block."""
        return [Block(type="text", text=self.content)] if isinstance(self.content, str) else self.content

    @property
    def said(self) -> str:
        """The text blocks, one a line."""
        return "\n".join(block.said for block in self.blocks if block.type == "text")


class Tool(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One offered tool; those of a `type` other than custom run at the provider and have no schema."""

    name: str
    type: str | None = None
    description: str = ""
    input_schema: dict[str, Any] | None = None
    cache_control: CacheControl | None = None

    @property
    def custom(self) -> bool:
        """Whether the client runs it."""
        return self.type in (None, "custom")


class ToolChoice(Struct, frozen=True, kw_only=True):
    """Whether tools may or must be called; `type` is auto, any, tool (with `name`) or none."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool = False


class Count(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/messages/count_tokens`; fields without a use here are taken as they come."""

    model: str
    messages: list[Message]
    system: str | list[Block] = ""
    tools: list[Tool] = []
    tool_choice: ToolChoice = ToolChoice(type="auto")
    cache_control: Any = None
    container: Any = None
    context_management: Any = None
    diagnostics: Any = None
    inference_geo: Any = None
    mcp_servers: Any = None
    metadata: Any = None
    output_config: Any = None
    service_tier: Any = None
    speed: Any = None
    thinking: Any = None


class Question(Count, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/messages`."""

    max_tokens: int
    stream: bool = False
    stop_sequences: list[str] = []
    temperature: Any = None
    top_k: Any = None
    top_p: Any = None


def schema_of(request: Count) -> dict[str, Any] | None:
    """The JSON schema that the answer has to fit; None where it may be any text."""
    try:
        wanted = msgspec.convert(request.output_config or {}, _OutputConfig).format
    except msgspec.ValidationError as error:
        raise ApiError(400, f"output_config: {error}") from None
    return wanted.schema if wanted else None


class _Format(Struct, frozen=True, kw_only=True):
    type: str
    schema: dict[str, Any]


class _OutputConfig(Struct, frozen=True, kw_only=True):
    format: _Format | None = None


_SERVER_TOOLS = (
    "web_search",
    "web_fetch",
    "tool_search",
    "code_execution",
    "bash_code_execution",
    "text_editor_code_execution",
)

NEEDED: Mapping[str, tuple[str, ...]] = {
    "text": ("text",),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id",),
    "server_tool_use": ("id", "name", "input"),
    **dict.fromkeys(("image", "document", "search_result", "container_upload"), ()),
    **dict.fromkeys(("thinking", "redacted_thinking"), ()),
    **{f"{tool}_tool_result": ("tool_use_id",) for tool in _SERVER_TOOLS},
}
"""The content block types the API takes, each with the fields it must have among those read here."""

_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (?P<how>missing required|contains unknown) field `(?P<name>.*)`")
_REASONS = {"missing required": "Field required", "contains unknown": "Extra inputs are not permitted"}


_Body = TypeVar("_Body", bound=Count)


def decode(body: bytes, kind: type[_Body]) -> _Body:
    """Read a request's body by its shape alone; `review` checks the rest.

    Raises:
        ApiError: 400, naming the first field that is wrong.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise ApiError(400, _in_words(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"The request body is not valid JSON: {error}") from None


def _in_words(message: str) -> str:
    found = _PLACE.fullmatch(message)
    what, path = (found["what"], found["path"] or "") if found else (message, "")
    place = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", path)
    if field := _FIELD.fullmatch(what):
        place, what = f"{place}.{field['name']}", _REASONS[field["how"]]
    return f"{place.strip('.') or 'body'}: {what}"
