"""A Prompt, which is in the Messages API's form, as the body of a Chat Completions request.

Refuses to send what the other API has no word for: thinking stays where it was thought.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.agent.model import Prompt

Json = dict[str, Any]


def body(prompt: Prompt) -> Json:
    """The request's body; tokens are asked for, as a stream says none by itself."""
    given: Json = {
        "model": prompt.model,
        "messages": [*_system(prompt.system), *(each for said in prompt.messages for each in _told(said))],
        "tools": [_tool(tool) for tool in prompt.tools],
        "max_completion_tokens": prompt.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        "response_format": _form(prompt.schema),
    }
    return {key: value for key, value in given.items() if value}


def _system(text: str) -> list[Json]:
    return [{"role": "system", "content": text}] if text else []


def _form(schema: Mapping[str, Any] | None) -> Json | None:
    """Not `strict`: that wants every property required, and the answer is held against the schema anyway."""
    if schema is None:
        return None
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": False}}


def _tool(tool: Mapping[str, Any]) -> Json:
    named = {"name": tool["name"], "description": tool.get("description", "")}
    return {"type": "function", "function": named | {"parameters": tool["input_schema"]}}


def _told(message: Mapping[str, Any]) -> Iterator[Json]:
    """One message as one or more: a tool's result is a message of its own there, and comes first."""
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if message["role"] == "assistant":
        yield _said(blocks)
        return
    yield from (_result(block) for block in blocks if block["type"] == "tool_result")
    if parts := [part for part in map(_part, blocks) if part]:
        plain = len(parts) == 1 and parts[0]["type"] == "text"
        yield {"role": "user", "content": parts[0]["text"] if plain else parts}


def _said(blocks: Sequence[Mapping[str, Any]]) -> Json:
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [_call(block) for block in blocks if block["type"] == "tool_use"]
    return {"role": "assistant", "content": text or None} | ({"tool_calls": calls} if calls else {})


def _call(block: Mapping[str, Any]) -> Json:
    function = {"name": block["name"], "arguments": json.dumps(block["input"])}
    return {"id": block["id"], "type": "function", "function": function}


def _result(block: Mapping[str, Any]) -> Json:
    return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": _text(block["content"])}


def _text(content: Any) -> str:
    """What a tool gave, as text; of blocks only their text."""
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", "") for block in content)


def _part(block: Mapping[str, Any]) -> Json | None:
    """A part of the user's words; a file goes as a `data:` URL."""
    source = block.get("source", {})
    match block["type"]:
        case "text":
            return {"type": "text", "text": block["text"]}
        case "image":
            return {"type": "image_url", "image_url": {"url": _url(source)}}
        case "document":
            file = {"filename": block.get("title") or "document.pdf", "file_data": _url(source)}
            return {"type": "file", "file": file}
        case _:
            return None


def _url(source: Mapping[str, Any]) -> str:
    return f"data:{source['media_type']};base64,{source['data']}"
