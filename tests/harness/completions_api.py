"""A Chat Completions API, wire for wire, that does what the simulator's markers say: an ASGI application.

Refuses what the real one refuses: no key, a tool's result that nobody asked for, a call without its result.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from service.simulator.arguments import arguments_for

Json = dict[str, Any]

MARKER = re.compile(r"\[sim:([a-z0-9-]+)(?::(\d+))?\]")
FAULTS = ("stall", "cut", "error-event", "truncate", "bad-json")
OVERLOADED = {"message": "The engine is overloaded.", "type": "server_error", "param": None}
BROKEN = b'data: {"id": \n\n'


class CompletionsApi:
    """Answers every question; `asked` are the bodies, in order, `left` counts clients that did not wait."""

    def __init__(self) -> None:
        self.asked: list[Json] = []
        self.left = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        sent = _Sent(receive, send)
        body = json.loads(await sent.body())
        self.asked.append(body)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status, problem = _review(scope["path"], headers, body)
        marks = dict(MARKER.findall(_question(body)))
        if problem is None and (code := _status(marks, body)):
            status, problem = code, f"The message asked for it: {code}."
        if problem is not None:
            await sent.refuse(status, problem, marks.get("429-after"))
        elif not await sent.stream(body, marks):
            self.left += 1


class _Sent:
    """One exchange."""

    def __init__(self, receive: Any, send: Any) -> None:
        self._receive, self._send = receive, send

    async def body(self) -> bytes:
        body, more = b"", True
        while more:
            message = await self._receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        return body

    async def refuse(self, status: int, problem: str, after: str | None) -> None:
        kind = {401: "authentication_error", 429: "requests"}.get(status, "invalid_request_error")
        told = {"error": {"message": problem, "type": kind, "param": None, "code": None}}
        await self._begin(status, "application/json", {"retry-after": after} if after else {})
        await self._write(json.dumps(told).encode(), last=True)

    async def stream(self, body: Json, marks: Mapping[str, str]) -> bool:
        """Answer; False where the client left first."""
        fault = next((mark for mark in marks if mark in FAULTS and not _first_round(body, marks)), "")
        await self._begin(200, "text/event-stream; charset=utf-8", {})
        for part in _faulty(list(_chunks(body, marks)), fault):
            await self._write(part)
        if fault == "stall":
            while (await self._receive())["type"] != "http.disconnect":
                pass
            return False
        if fault != "cut":
            await self._write(b"", last=True)
        return True

    async def _begin(self, status: int, kind: str, further: Mapping[str, str]) -> None:
        headers = {"content-type": kind, "x-request-id": f"req_{uuid4().hex}", **further}
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def _write(self, data: bytes, *, last: bool = False) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})
        await asyncio.sleep(0)


def _review(path: str, headers: Mapping[str, str], body: Json) -> tuple[int, str | None]:
    """What the real API refuses, with its status; nothing where it does not."""
    if path != "/v1/chat/completions":
        return 404, "Invalid URL"
    if headers.get("authorization", "") in {"", "Bearer "}:
        return 401, "You didn't provide an API key."
    return 400, next(_problems(body), None)


def _problems(body: Json) -> Iterator[str]:
    waiting: list[str] = []
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                yield "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
            else:
                waiting.remove(message["tool_call_id"])
        elif waiting:
            yield "An assistant message with 'tool_calls' must be followed by tool messages."
        waiting = waiting or [call["id"] for call in message.get("tool_calls", ())]
    if waiting or body["messages"][-1]["role"] == "assistant":
        yield "The last message is not the user's or a tool's."


def _question(body: Json) -> str:
    said = [message["content"] for message in body["messages"] if message["role"] == "user"]
    last = said[-1] if said else ""
    return last if isinstance(last, str) else " ".join(part.get("text", "") for part in last)


def _status(marks: Mapping[str, str], body: Json) -> int | None:
    if _first_round(body, marks):
        return None
    return next((int(mark[:3]) for mark in marks if mark[:3].isdecimal()), None)


def _first_round(body: Json, marks: Mapping[str, str]) -> bool:
    """Whether tools are to be called now: a fault waits for the round after them."""
    wanted = marks.keys() & {"tool", "tools3", "bad-arguments"}
    return bool(wanted and body.get("tools") and body["messages"][-1]["role"] != "tool")


def _chunks(body: Json, marks: Mapping[str, str]) -> Iterator[Json | None]:
    """The chunks of an answer; None stands before those that end it."""
    head: Json = {"id": f"chatcmpl-{uuid4().hex}", "object": "chat.completion.chunk", "created": 1}
    head |= {"model": body["model"], "service_tier": "default"}
    deltas, reason = _deltas(body, marks)
    for delta in ({"role": "assistant", "content": "", "refusal": None}, *deltas):
        yield head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}], "usage": None}
    yield None
    yield head | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": None}
    if body.get("stream_options", {}).get("include_usage"):
        yield head | {"choices": [], "usage": _usage(body, deltas)}


def _deltas(body: Json, marks: Mapping[str, str]) -> tuple[list[Json], str]:
    if _first_round(body, marks):
        name = body["tools"][0]["function"]["name"]
        count = 3 if "tools3" in marks else 1
        written = '{"expression": "6*' if "bad-arguments" in marks else '{"expression": "6*7"}'
        return [delta for index in range(count) for delta in _call(index, name, written)], "tool_calls"
    last = body["messages"][-1]
    said = MARKER.sub("", _question(body)).strip()
    words = (
        f"The tool returned {last['content']}." if last["role"] == "tool" else f"You said: {said}. Indeed."
    )
    if form := body.get("response_format"):
        words = json.dumps(arguments_for(form["json_schema"]["schema"]))
    reason = "content_filter" if "refuse" in marks else "stop"
    return [{"content": word} for word in re.findall(r"\S+\s*", words)], reason


def _call(index: int, name: str, written: str) -> Iterator[Json]:
    begun = {"name": name, "arguments": ""}
    call = {"index": index, "id": f"call_{uuid4().hex[:24]}", "type": "function", "function": begun}
    yield {"tool_calls": [call]}
    for half in (written[:8], written[8:]):
        yield {"tool_calls": [{"index": index, "function": {"arguments": half}}]}


def _usage(body: Json, deltas: list[Json]) -> Json:
    prompt = len(json.dumps(body["messages"])) // 4 + 1
    told = {"prompt_tokens": prompt, "completion_tokens": len(deltas), "total_tokens": prompt + len(deltas)}
    return told | {"prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}}


def _faulty(chunks: list[Json | None], fault: str) -> Iterator[bytes]:
    """The events on the wire, with what the fault leaves of them."""
    end = chunks.index(None)
    head, tail = [_frame(each) for each in chunks[:end]], [_frame(each) for each in chunks[end + 1 :]]
    middle = len(head) // 2 + 1
    yield from {
        "stall": head[:1],
        "cut": head[:middle],
        "error-event": [*head[:middle], _frame({"error": OVERLOADED | {"code": "overloaded"}})],
        "truncate": head,
        "bad-json": [*head[:middle], BROKEN, *head[middle:], *tail, b"data: [DONE]\n\n"],
    }.get(fault, [*head, *tail, b"data: [DONE]\n\n"])


def _frame(chunk: Json | None) -> bytes:
    return b"data: %b\n\n" % json.dumps(chunk).encode()
