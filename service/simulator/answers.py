"""What the simulator says: a pure function of the conversation and its script.

Refuses to pretend: each text says that no model wrote it.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import cycle, islice
from typing import Any

import msgspec
from msgspec import Struct

from service.simulator.arguments import arguments_for
from service.simulator.markers import MARKER, Script
from service.simulator.messages import Block, Question, Tool, schema_of

NOTE = "This answer comes from the simulator, not from a model. Set ANTHROPIC_API_KEY to ask a real one."
UNFIT = '["This does not fit."]'
"""What `[sim:bad-schema]` says where an object is asked for."""
QUOTED = 200
"""Characters of a message or of a tool's result that an answer repeats."""

_FRAME = re.compile(r"<(\w+) tool=[^>]*>\n(.*)\n</\1[^>]*>", re.DOTALL)
"""Tags that mark what a tool gave as data; a model reads what is between them."""
_NUMBER = r"\({0,8}[0-9]{1,30}(?:\.[0-9]{1,30})?\){0,8}"
_ARITHMETIC = re.compile(
    rf"(?<![\w.-])-?{_NUMBER}(?:\s{{0,4}}(?:\*\*|[-+*/%\u00d7\u00f7])\s{{0,4}}{_NUMBER})+(?![\w-])"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SIGNS = str.maketrans("\u00d7\u00f7", "*/")
"""The signs people write for multiplying and dividing, as tools read them."""
_TIME = re.compile(r"\b(?:what time|the time|current time|time is it|what day|today's date)\b", re.IGNORECASE)
_WORDS = re.compile(r"[\w-]+")
"""A tool that a question names is called; of those that have no words of their own in it."""
_ZONE = re.compile(r"\b[A-Z][A-Za-z]+/[A-Z][A-Za-z_]+\b")


class Call(Struct, frozen=True, kw_only=True):
    """One tool call of an answer."""

    name: str
    input: dict[str, object]


class Answer(Struct, frozen=True, kw_only=True):
    """What the simulated model says: text, or tool calls, and why it stopped."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None


def question_text(request: Question) -> str:
    """The latest user message that has text: the question of the turn, and the place of its markers."""
    users = (message for message in reversed(request.messages) if message.role == "user")
    return next((message.said for message in users if message.said), "")


def answer(request: Question, script: Script) -> Answer:
    """Say what the simulated model would, before `max_tokens` and `stop_sequences` cut it."""
    schema = schema_of(request)
    results = _results(request) if _rounds(request) >= script.times else []
    if schema is not None and (results or not any(_calls(request, script))):
        return Answer(text=UNFIT if script.fault == "bad-schema" else _fitting(schema))
    if results:
        return Answer(text=f"{' '.join(_tell(request, result) for result in results)}\n\n{NOTE}")
    if calls := tuple(_calls(request, script)):
        return Answer(calls=calls, stop_reason="tool_use")
    return Answer(text=_reply(request))


def _fitting(schema: Mapping[str, Any]) -> str:
    return msgspec.json.encode(arguments_for(schema)).decode()


def halve(whole: Answer, stop_reason: str) -> Answer:
    """Break an answer off in the middle of its text."""
    half = whole.text[: -(-len(whole.text) // 2)]
    return msgspec.structs.replace(whole, text=half, stop_reason=stop_reason, stop_sequence=None)


def _results(request: Question) -> list[Block]:
    latest = next(message for message in reversed(request.messages) if message.role == "user")
    return [block for block in latest.blocks if block.type == "tool_result"]


def _rounds(request: Question) -> int:
    """How often tools have answered since the question."""
    rounds = 0
    for message in reversed(request.messages):
        if message.role == "user" and message.said:
            break
        rounds += any(block.type == "tool_result" for block in message.blocks)
    return rounds


def _tell(request: Question, result: Block) -> str:
    asked = (block for message in request.messages for block in message.blocks if block.type == "tool_use")
    name = next((block.name for block in asked if block.id == result.tool_use_id), "tool")
    framed = _FRAME.fullmatch(result.said)
    said = (framed[2] if framed else result.said).strip()[:QUOTED] or "nothing"
    return f"{name} failed: {said}." if result.is_error else f"{name} returned {said}."


def _reply(request: Question) -> str:
    said = " ".join(MARKER.sub("", question_text(request)).split())
    quoted = f"You said: {said[:QUOTED]}" if said else "You sent no words."
    tip = ' Try "What is 12*7?" to see a tool at work.' if _offered(request) else ""
    return f"{quoted}\n\n{NOTE}{tip}"


def _offered(request: Question) -> list[Tool]:
    choice = request.tool_choice
    if choice.type == "none":
        return []
    named = [tool for tool in request.tools if tool.name == choice.name]
    return named if choice.type == "tool" else [tool for tool in request.tools if tool.custom]


def _calls(request: Question, script: Script) -> Iterator[Call]:
    """The tool calls of a turn's next round; none where a plain text is asked for, or nothing is offered."""
    text, offered = MARKER.sub("", question_text(request)), _offered(request)
    wanted = [tool for tool in offered if _is_wanted(tool, text)]
    count, first = _count(script, request, len(wanted)), _rounds(request)
    tools = islice(cycle(wanted or offered), first, first + count)
    return (Call(name=tool.name, input=_arguments(tool, text)) for tool in tools)


def _count(script: Script, request: Question, wanted: int) -> int:
    plain = script.rounds == "text" or (script.fault and not script.rounds)
    forced = request.tool_choice.type in {"any", "tool"}
    named = {"tool": 1, "tools3": 3, "rounds": min(script.times, 1)}
    asked = named.get(script.rounds, 0 if plain else max(wanted, int(forced)))
    return min(asked, 1) if request.tool_choice.disable_parallel_tool_use else asked


def _is_wanted(tool: Tool, text: str) -> bool:
    if tool.name == "calculate":
        return bool(_expression(text))
    if tool.name == "current_time":
        return bool(_TIME.search(text))
    return tool.name in _WORDS.findall(text)


def _arguments(tool: Tool, text: str) -> dict[str, object]:
    if tool.name == "calculate":
        return {"expression": _expression(text) or "6*7"}
    if tool.name == "current_time":
        zone = _ZONE.search(text)
        return {"zone": zone[0] if zone else "UTC"}
    return arguments_for(tool.input_schema or {})


def _expression(text: str) -> str:
    """The first arithmetic expression of a text, or an empty one; a date is none."""
    found = (match[0] for match in _ARITHMETIC.finditer(text))
    return next((_balance(some).translate(_SIGNS) for some in found if not _DATE.fullmatch(some)), "")


def _balance(expression: str) -> str:
    """Drop brackets that the sentence opened or closed around the expression."""
    surplus = expression.count("(") - expression.count(")")
    if surplus > 0:
        return expression.replace("(", "", surplus)
    return expression[::-1].replace(")", "", -surplus)[::-1]
