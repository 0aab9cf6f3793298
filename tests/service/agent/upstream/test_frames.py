"""Events out of bytes: the same as the SDK reads, however the bytes are cut."""

import json

import pytest
from anthropic._streaming import SSEDecoder

from service.agent.upstream.frames import Frames, json_of

BODIES = {
    "as the API writes": b'event: a\ndata: {"x": 1}\n\nevent: ping\ndata: {}\n\n'
    b'event: b\ndata: {"y": "\xc3\xa9"}\n\n',
    "lines end as on other systems": b"event: a\r\ndata: 1\r\n\r\nevent: b\r\ndata: 2\r\n\r\n",
    "lines end as on old ones": b"event: a\rdata: 1\r\revent: b\rdata: 2\r\r",
    "both": b"event: a\r\ndata: 1\r\n\r\nevent: b\ndata: 2\n\n",
    "data in two lines": b'event: a\ndata: {"x":\ndata: 1}\n\n',
    "no blank after the colon": b"event:a\ndata:1\n\n",
    "a comment, an id and a field nobody knows": b": hi\nid: 7\nevent: a\nwhat: x\ndata: 1\n\n",
    "an empty name": b"event: \ndata: 1\n\nevent: a\ndata: 2\n\n",
    "no name": b"data: 1\n\nevent: a\ndata: 2\n\n",
    "no data": b"event: a\n\nevent: b\ndata: 2\n\n",
    "empty lines before it": b"\n\n\nevent: a\ndata: 1\n\n\n\nevent: b\ndata: 2\n\n",
    "no end": b"event: a\ndata: 1\n\nevent: b\ndata: 2",
    "nothing": b"",
}


def of_the_sdk(body):
    events = SSEDecoder().iter_bytes(iter([body]))
    return [(event.event, event.data) for event in events if event.event not in {None, "ping"} and event.data]


def ours(body, size):
    frames = Frames()
    found = [frame for at in range(0, len(body), size) for frame in frames.of(body[at : at + size])]
    return [(name.decode(), data.decode()) for name, data in found]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_frames_are_those_of_the_sdk(body, size):
    assert ours(body, size) == of_the_sdk(body)


def test_what_is_whole_is_told_at_once():
    frames = Frames()
    assert frames.of(b"event: a\ndata: 1\n") == []
    assert frames.of(b"\nevent: b\n") == [(b"a", b"1")]
    assert frames.of(b"data: 2\n\nevent: c\ndata: 3\n\n") == [(b"b", b"2"), (b"c", b"3")]


@pytest.mark.parametrize("text", ['{"a": "\\ud800"}', '{"a": NaN}', '{"a": [1, 2.5, null, "\\u00e9"]}'])
def test_json_is_read_as_python_reads_it(text):
    assert repr(json_of(text.encode())) == repr(json.loads(text))


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    "data",
    [b"{", b"", b"\xff", b"{} {}", DEEP, b'["\\ud800",' + DEEP + b"]"],
    ids=["open", "nothing", "no UTF-8", "two", "deep", "deep, and half a pair"],
)
def test_what_is_no_json_is_an_error(data):
    with pytest.raises(ValueError):  # noqa: PT011 - whichever of them
        json_of(data)
