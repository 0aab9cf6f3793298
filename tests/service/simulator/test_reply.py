import json

import msgspec
import pytest

from service.simulator.answers import Answer, Call, halve
from service.simulator.messages import Question
from service.simulator.reply import reply_to
from service.simulator.stream import frames, message_body
from service.simulator.usage import measure

WORDS = "one two three four five six seven eight nine ten"


def question(**more):
    body = {"model": "m", "max_tokens": 900, "messages": [{"role": "user", "content": "hello"}]}
    return msgspec.convert(body | more, Question)


def reply(text=WORDS, **more):
    return reply_to(question(**more), Answer(text=text))


def events(frame_list):
    pairs = [frame.decode().removesuffix("\n\n").split("\n") for frame in frame_list]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in pairs]


def kinds(fault):
    return [name for name, _ in events(frames(reply(), fault, "req_1"))]


def test_max_tokens_cuts_the_text():
    cut = reply(max_tokens=2)
    assert (cut.content[0]["text"], cut.stop_reason, cut.tokens.output) == (WORDS[:8], "max_tokens", 2)


def test_max_tokens_of_nothing_leaves_no_content():
    assert reply(max_tokens=0).content == ()


def test_max_tokens_drops_calls_that_do_not_fit():
    called = Answer(calls=(Call(name="calculate", input={"expression": "1+1"}),), stop_reason="tool_use")
    assert reply_to(question(max_tokens=1), called).stop_reason == "max_tokens"
    assert reply_to(question(), called).stop_reason == "tool_use"


def test_the_first_stop_sequence_cuts_the_text():
    cut = reply(stop_sequences=["five", "three", "gone"])
    assert (cut.content[0]["text"], cut.stop_reason, cut.stop_sequence) == (
        "one two ",
        "stop_sequence",
        "three",
    )


def test_only_a_refusal_has_stop_details():
    assert reply().stop_details is None
    refused = reply_to(question(), halve(Answer(text=WORDS), "refusal"))
    assert refused.content[0]["text"] == WORDS[:24]
    assert message_body(refused)["stop_details"]["type"] == "refusal"


def test_ids_are_never_the_same():
    assert reply().id != reply().id


def test_a_stream_has_the_events_of_the_api_in_order():
    assert kinds("") == [
        "message_start",
        "ping",
        "content_block_start",
        *["content_block_delta"] * 4,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_each_event_is_named_like_its_data():
    assert all(name == data["type"] for name, data in events(frames(reply(), "", "req_1")))


def test_message_start_holds_the_input_and_a_placeholder():
    start = events(frames(reply(system="be brief"), "", "req_1"))[0][1]["message"]
    assert (start["content"], start["stop_reason"]) == ([], None)
    assert start["usage"]["output_tokens"] == 1
    assert start["usage"]["input_tokens"] == 11


def test_message_delta_holds_the_whole_usage():
    whole = reply(system="be brief", messages=LATER)
    delta = events(frames(whole, "", "req_1"))[-2][1]
    usage = message_body(whole)["usage"]
    assert delta["usage"].keys() == {
        "input_tokens",
        "output_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
    }
    assert delta["usage"].items() <= usage.items()
    assert delta["delta"]["stop_reason"] == "end_turn"


@pytest.mark.parametrize("text", [WORDS, " leading", "trailing \n\n", "\n", "a", "two  spaces\tand\nlines "])
def test_the_deltas_add_up_to_the_text(text):
    sent = events(frames(reply(text), "", "req_1"))
    assert "".join(data["delta"]["text"] for name, data in sent if name == "content_block_delta") == text


def test_the_deltas_of_a_call_add_up_to_its_input():
    called = Answer(calls=(Call(name="f", input={"a": "\u00e9", "b": [1]}),), stop_reason="tool_use")
    sent = events(frames(reply_to(question(), called), "", "req_1"))
    pieces = [data["delta"]["partial_json"] for name, data in sent if name == "content_block_delta"]
    assert pieces[0] == ""
    assert json.loads("".join(pieces)) == {"a": "\u00e9", "b": [1]}


def test_stall_leaves_the_start():
    assert kinds("stall") == ["message_start"]


def test_cut_leaves_some_text_and_no_end():
    assert kinds("cut") == ["message_start", "ping", "content_block_start", *["content_block_delta"] * 2]


def test_error_event_comes_after_some_text():
    sent = events(frames(reply(), "error-event", "req_1"))
    assert [name for name, _ in sent][-2:] == ["content_block_delta", "error"]
    assert sent[-1][1]["error"]["type"] == "overloaded_error"
    assert sent[-1][1]["request_id"] == "req_1"


def test_truncate_leaves_all_but_the_end():
    assert kinds("truncate") == kinds("")[:-2]


def test_bad_json_adds_one_line_that_is_none():
    sent = frames(reply(), "bad-json", "req_1")
    broken = [frame for frame in sent if not is_json(frame)]
    assert len(broken) == 1
    assert len([frame for frame in sent if frame not in broken]) == len(frames(reply(), "", "req_1"))


def is_json(frame):
    try:
        return bool(events([frame]))
    except json.JSONDecodeError:
        return False


TOOL = {"name": "f", "input_schema": {"type": "object"}}
LATER = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "hello"},
    {"role": "user", "content": "again"},
]


def test_the_tokens_of_a_prompt_are_those_of_its_parts():
    alone, more = measure(question()), measure(question(system="be brief", tools=[TOOL], messages=LATER))
    tool = -(-len(json.dumps(TOOL, separators=(",", ":"))) // 4)
    text = len(json.dumps(LATER, separators=(",", ":")))
    assert (alone.input, more.input) == (9, 2 + tool + -(-text // 4))
    assert (alone.written, alone.read) == (0, 0)


def test_a_text_counts_like_the_block_it_is_short_for():
    block = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
    assert measure(question(messages=block)) == measure(question())
    system = [{"type": "text", "text": "be brief"}]
    assert measure(question(system=system)) == measure(question(system="be brief"))


def test_no_answer_is_without_tokens():
    assert reply(max_tokens=0).tokens.output == 1
