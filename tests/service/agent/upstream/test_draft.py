"""Answers of the API, folded: blocks go back as they came, tools have arguments, tokens are counted."""

import json
from itertools import groupby

import pytest

from service.agent.model import Answering, Counted, TextPiece, ThinkingPiece, ToolUse
from service.agent.upstream.hearing import joined
from telemetry.record import Usage
from tests.harness.messages_api import TEXT, CannedApi, ask, block, end, start


async def reply_of(*events):
    _, reply = await ask(CannedApi(events))
    return reply


def use_block(*pieces, **start):
    known = {"type": "tool_use", "id": "c1", "name": "t", "input": {}}
    return block(0, known | start, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces))


async def test_blocks_go_back_unchanged():
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    unknown = {"type": "from_the_future", "x": [1, {"y": None}]}
    redacted = {"type": "redacted_thinking", "data": "opaque"}
    server = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    reply = await reply_of(
        start(),
        {"type": "from_the_future_too"},
        {"type": "ping"},
        *block(
            0,
            thinking,
            {"type": "thinking_delta", "thinking": "h"},
            {"type": "thinking_delta", "thinking": "m"},
            {"type": "signature_delta", "signature": "sig"},
        ),
        *block(1, redacted),
        *block(2, unknown, {"type": "future_delta", "z": 1}),
        *block(3, server, {"type": "input_json_delta", "partial_json": '{"query": "x"}'}),
        *block(4, TEXT, {"type": "text_delta", "text": "hi"}),
        *end(),
    )
    assert list(reply.content) == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        redacted,
        unknown,
        server | {"input": {"query": "x"}},
        {"type": "text", "text": "hi"},
    ]
    assert reply.tool_uses == ()


async def test_thinking_is_told_apart_from_text():
    thinking = {"type": "thinking", "thinking": "a", "signature": ""}
    grown = [{"type": "thinking_delta", "thinking": "b"}, {"type": "signature_delta", "signature": "s"}]
    empty = {"type": "thinking_delta", "thinking": ""}
    text = block(1, TEXT, {"type": "text_delta", "text": "hi"})
    pieces, _ = await ask(CannedApi([start(), *block(0, thinking, empty, *grown), *text, *end()]))
    texts = [piece for piece in pieces if isinstance(piece, ThinkingPiece | TextPiece)]
    told = [(kind, "".join(each.text for each in run)) for kind, run in groupby(texts, type)]
    assert told == [(ThinkingPiece, "ab"), (TextPiece, "hi")]


def grown(index, kind, **said):
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **said}}


def test_texts_of_a_block_that_came_together_are_one_and_nothing_else_is_touched():
    first = [grown(0, "text_delta", text=each) for each in "abc"]
    other = grown(1, "text_delta", text="d")
    thought = [grown(1, "thinking_delta", thinking=each) for each in "ef"]
    odd = [None, 3, "text", {"type": "ping"}, grown(1, "text_delta", text=5), grown(1, ["x"]), {"delta": {}}]
    no_place = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "g"}}
    told = joined([*first, other, *thought, *odd, no_place, no_place])
    assert told == [
        grown(0, "text_delta", text="abc"),
        other,
        grown(1, "thinking_delta", thinking="ef"),
        *odd,
        no_place,
        no_place,
    ]


async def test_citations_go_back_with_their_text():
    citation = {
        "type": "char_location",
        "cited_text": "x",
        "document_index": 0,
        "document_title": None,
        "start_char_index": 0,
        "end_char_index": 1,
    }
    reply = await reply_of(
        start(),
        *block(0, TEXT | {"citations": []}, {"type": "citations_delta", "citation": citation}),
        *end(),
    )
    assert reply.content[0]["citations"] == [citation]


@pytest.mark.parametrize(
    ("pieces", "arguments"),
    [
        ((), {}),
        (("", ""), {}),
        (('{"a"', ": [1, 2]}"), {"a": [1, 2]}),
        (('{"a": ',), None),
        (("[1]",), None),
        (("null",), None),
        (('{"a": NaN}',), None),
        (('{"a": "\\ud800"}',), None),
        (("[" * 100_000,), None),
    ],
)
async def test_arguments_are_an_object_or_none(pieces, arguments):
    reply = await reply_of(start(), *use_block(*pieces), *end("tool_use"))
    assert reply.tool_uses == (ToolUse("c1", "t", arguments),)
    assert reply.content[0] == {"type": "tool_use", "id": "c1", "name": "t", "input": arguments or {}}


async def test_arguments_that_came_whole_are_kept():
    reply = await reply_of(start(), *use_block(input={"a": 1}), *end("tool_use"))
    assert reply.tool_uses[0].arguments == {"a": 1}
    assert reply.content[0]["input"] == {"a": 1}


async def test_tokens_are_counted_as_the_conventions_say():
    cached = {
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    }
    later = {"input_tokens": 8, "cache_read_input_tokens": 100, "cache_creation_input_tokens": None}
    pieces, _ = await ask(CannedApi([start(**cached), *block(0, TEXT), *end(**later)]))
    first, last = [piece.usage for piece in pieces if isinstance(piece, Counted)]
    known = {"cache_read_tokens": 100, "cache_write_tokens": 30, "cache_write_1h_tokens": 10}
    assert first == Usage(input_tokens=137, output_tokens=1, **known)
    assert last == Usage(input_tokens=138, output_tokens=9, **known)


HALF = "a\ud800b"


async def test_nothing_leaves_that_utf_8_has_not():
    began = start()
    began["message"] |= {"id": HALF, "model": HALF}
    pieces, reply = await ask(
        CannedApi(
            [
                began,
                *block(0, TEXT | {"text": HALF}, {"type": "text_delta", "text": HALF}),
                *block(1, {"type": "tool_use", "id": HALF, "name": HALF, "input": {HALF: [HALF]}}),
                *block(2, {"type": "from_the_future", "x": [{"y": HALF}]}),
                *end(HALF),
            ]
        )
    )
    assert [each for each in pieces if isinstance(each, Answering)] == [Answering("a?b", "a?b")]
    assert "".join(each.text for each in pieces if isinstance(each, TextPiece)) == "a?ba?b"
    said = [
        reply.content,
        reply.stop_reason,
        [(use.call_id, use.name, use.arguments) for use in reply.tool_uses],
    ]
    json.dumps(said, ensure_ascii=False).encode()
    (used,) = reply.tool_uses
    assert (used.call_id, used.name) == (reply.content[1]["id"], reply.content[1]["name"])


async def test_a_pair_that_the_stream_parted_goes_back_whole():
    halves = ({"type": "text_delta", "text": half} for half in ("\ud83d", "\ude00"))
    reply = await reply_of(start(), *block(0, TEXT, *halves), *end())
    assert reply.content[0]["text"] == "\U0001f600"


async def test_what_a_tool_call_is_called_has_bounds():
    reply = await reply_of(start(), *use_block(id="i" * 257, name="n" * 129), *end("tool_use"))
    assert reply.tool_uses == (ToolUse("i" * 256, "n" * 128, {}),)
    assert (reply.content[0]["id"], reply.content[0]["name"]) == ("i" * 256, "n" * 128)
    whole = await reply_of(start(), *use_block(id="i" * 256, name="n" * 128), *end("tool_use"))
    assert whole.tool_uses == reply.tool_uses
