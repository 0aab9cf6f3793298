import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.simulator.error import ApiError
from service.simulator.messages import Count, Question, decode
from service.simulator.review import review

HELLO = {"role": "user", "content": "hello"}
USE = {"type": "tool_use", "id": "t1", "name": "calculate", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "42"}
ASKED = [HELLO, {"role": "assistant", "content": [USE]}]
TOOL = {"name": "calculate", "input_schema": {"type": "object"}}


def body(**changes):
    whole = {"model": "m", "max_tokens": 9, "messages": [HELLO]} | changes
    return msgspec.json.encode({name: value for name, value in whole.items() if value is not ...})


def refusal(data, kind=Question):
    with pytest.raises(ApiError) as refused:
        review(decode(data, kind))
    assert (refused.value.status, refused.value.type) == (400, "invalid_request_error")
    return refused.value.message


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def test_a_plain_request_is_accepted():
    request = decode(body(), Question)
    review(request)
    assert (request.model, request.stream, request.messages[0].said) == ("m", False, "hello")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": ...}, "model: Field required"),
        ({"max_tokens": ...}, "max_tokens: Field required"),
        ({"messages": ...}, "messages: Field required"),
        ({"model": ""}, "model: "),
        ({"model": 4}, "model: Expected"),
        ({"max_tokens": -1}, "max_tokens: "),
        ({"max_tokens": "9"}, "max_tokens: Expected"),
        ({"max_tokens": True}, "max_tokens: Expected"),
        ({"max_tokens": 1.5}, "max_tokens: Expected"),
        ({"stream": "yes"}, "stream: Expected"),
        ({"max_token": 9}, "max_token: Extra inputs are not permitted"),
        ({"stop_sequences": [1]}, "stop_sequences.0: Expected"),
        ({"system": 1}, "system: Expected"),
        ({"system": [{"type": "image"}]}, "system.0: "),
        ({"messages": []}, "messages: at least one message"),
        ({"messages": "hello"}, "messages: Expected"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{"content": "x"}]}, "messages.0.role: Field required"),
        ({"messages": [HELLO, {"role": "robot", "content": "x"}]}, "messages.1.role: Input should be"),
        ({"messages": [{"role": "assistant", "content": "x"}, HELLO]}, "messages: first message must use"),
        (
            {"messages": [HELLO, {"role": "assistant", "content": "x"}]},
            "messages: This model does not support",
        ),
        ({"messages": [{"role": "user", "content": ""}]}, "messages.0: "),
        ({"messages": [user()]}, "messages.0: "),
        ({"messages": [{"role": "user", "content": " \n"}]}, "messages.0.content.0: text content blocks"),
        ({"messages": [user({"text": "x"})]}, "messages.0.content.0.type: Field required"),
        ({"messages": [user({"type": "text"})]}, "messages.0.content.0.text.text: Field required"),
        ({"messages": [user({"type": "telepathy"})]}, "messages.0.content.0: Input tag 'telepathy'"),
        ({"messages": [user(USE)]}, "messages.0.content.0: `tool_use` blocks can only be in `assistant`"),
        ({"messages": [user(RESULT)]}, "messages.0.content.0: unexpected `tool_use_id`"),
        ({"messages": ASKED}, "messages: This model does not support"),
        ({"messages": [*ASKED, HELLO]}, "messages.1: `tool_use` ids were found without"),
        ({"messages": [*ASKED, user({"type": "text", "text": "x"}, RESULT)]}, "messages.1: `tool_use` ids"),
        ({"messages": [*ASKED, user(RESULT | {"tool_use_id": "t2"})]}, "messages.1: `tool_use` ids"),
        ({"messages": [*ASKED, user(RESULT, RESULT)]}, "messages.2.content.1: unexpected `tool_use_id`"),
        ({"messages": [*ASKED, user(RESULT), *ASKED, user(RESULT)]}, "messages.4: `tool_use` ids must be"),
        (
            {"messages": [*ASKED, user({"type": "tool_result"})]},
            "messages.2.content.0.tool_result.tool_use_id",
        ),
        ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "tools.0.custom.name: "),
        ({"tools": [{"name": "a"}]}, "tools.0.custom.input_schema: Field required"),
        ({"tools": [{"name": "a", "input_schema": {"type": "string"}}]}, "tools.0.custom.input_schema.type"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name: Field required"),
        ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type: "),
        ({"tool_choice": {"type": "any"}}, "tool_choice: "),
        ({"tool_choice": {"type": "tool", "name": "x"}, "tools": [TOOL]}, "tool_choice.name: "),
    ],
)
def test_what_is_wrong_is_refused_by_the_name_of_its_field(changes, words):
    assert refusal(body(**changes)).startswith(words)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"hello",
        b"\xff\xfe",
        b'{"model": "\xff"}',
        b'{"model": "\\ud800"}',
        b'{"metadata":' + b"[" * 9**6,
    ],
)
def test_a_body_that_is_no_json_is_refused(data):
    assert refusal(data).startswith("The request body is not valid JSON")


@pytest.mark.parametrize("data", [b"[]", b"null", b"1", b'"x"'])
def test_a_body_that_is_no_object_is_refused(data):
    assert refusal(data).startswith("body: Expected `object`")


def test_an_answered_tool_use_is_accepted_also_over_neighbouring_messages():
    second = USE | {"id": "t2"}
    conversation = [
        HELLO,
        {"role": "assistant", "content": "let me see"},
        {"role": "assistant", "content": [USE, second]},
        user(RESULT),
        user(RESULT | {"tool_use_id": "t2", "is_error": True}, {"type": "text", "text": "and?"}),
    ]
    review(decode(body(messages=conversation, tools=[TOOL]), Question))


@pytest.mark.parametrize(
    "extra",
    [
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]},
        {"messages": [user({"type": "image", "source": {"type": "url", "url": "x"}})]},
        {"messages": [HELLO, {"role": "system", "content": "be brief"}]},
        {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"metadata": {"user_id": "u"}, "thinking": {"type": "adaptive"}, "service_tier": "auto"},
        {"max_tokens": 0},
    ],
)
def test_what_the_api_takes_is_accepted(extra):
    review(decode(body(**extra), Question))


def test_counting_tokens_takes_no_max_tokens():
    assert refusal(body(), Count).startswith("max_tokens: Extra inputs")
    review(decode(body(max_tokens=...), Count))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
SPOTS = st.sampled_from(
    ["model", "max_tokens", "messages", "system", "tools", "tool_choice", "stop_sequences"]
)


def status_of(data):
    """The status a body is refused with; None where it is accepted."""
    try:
        review(decode(data, Question))
    except ApiError as error:
        return error.status
    return None


@given(st.dictionaries(SPOTS, JSON))
def test_any_json_is_accepted_or_refused(changes):
    assert status_of(body(**changes)) in {None, 400}


@given(st.binary())
def test_any_bytes_are_refused(data):
    assert refusal(data)
