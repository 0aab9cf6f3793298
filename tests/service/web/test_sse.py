"""Frames of a stream, read back by a parser that follows the standard."""

import pytest

from service.agent.events import Began, Text, ToolEnded, ToolStarted
from service.web import sse
from telemetry.record import ToolOutcome
from tests.harness.sse import Parser


def read(*frames):
    return Parser().feed(b"".join(frames))


def test_each_event_is_the_contracts():
    frames = sse.Frames()
    told = [
        Began("t1", "c1", "m1", "a" * 32),
        Text("hi"),
        ToolStarted("u1", "calculate"),
        *(ToolEnded("u1", "calculate", outcome, 7) for outcome in ToolOutcome),
    ]
    events = read(*map(frames.of, told))
    assert [event.id for event in events] == ["1", "2", "3", "4", "5", "6"]
    assert [event.event for event in events] == ["turn", "text", "tool", "tool", "tool", "tool"]
    assert events[0].data == {"id": "t1", "conversationId": "c1", "model": "m1", "traceId": "a" * 32}
    assert events[1].data == {"text": "hi"}
    assert events[2].data == {"id": "u1", "name": "calculate", "status": "started", "milliseconds": 0}
    ended = {"id": "u1", "name": "calculate", "milliseconds": 7}
    assert [event.data for event in events[3:]] == [
        ended | {"status": status} for status in ("finished", "failed", "denied")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "one\ntwo",
        "one\r\ntwo\rthree",
        "\n\nevent: done\ndata: {}\n\n",
        "data: x\n\n",
        "\u2028\u2029\x85\x0b\x0c",
        "\ufeff bom",
        "\x00\x1b[31m",
        "😀é\u202e",
        '"quotes" \\ and </script>',
        "",
        " ",
    ],
)
def test_any_text_is_one_event_and_itself(text):
    (event,) = read(sse.Frames().of(Text(text)))
    assert (event.event, event.data) == ("text", {"text": text})


def test_a_frame_is_four_lines():
    assert sse.Frames().frame("done", {"a": 1}) == b'id: 1\nevent: done\ndata: {"a":1}\n\n'


def test_a_comment_is_no_event_and_counts_for_nothing():
    frames, parser = sse.Frames(), Parser()
    events = parser.feed(frames.of(Text("a")) + sse.COMMENT + frames.of(Text("b")))
    assert [event.id for event in events] == ["1", "2"]
    assert parser.comments == ["still here"]
