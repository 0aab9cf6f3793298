import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.simulator.answers import NOTE, answer
from service.simulator.markers import Script, read
from service.simulator.messages import Question

TOOLS = [
    {
        "name": "search",
        "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
    },
    {"name": "calculate", "input_schema": {"type": "object"}},
    {"name": "current_time", "input_schema": {"type": "object"}},
]


def ask(text, *, script=None, tools=TOOLS, **more):
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": text}], "tools": tools}
    request = msgspec.convert(body | more, Question)
    return answer(request, script or read(text))


def calls(text, **more):
    return [(call.name, call.input) for call in ask(text, **more).calls]


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("What is 12*7?", "12*7"),
        ("What is 12 * 7.", "12 * 7"),
        ("12 \u00d7 7 \u00f7 2", "12 * 7 / 2"),
        ("(1+2)*3 please", "(1+2)*3"),
        ("see (12*7)", "(12*7)"),
        ("see (that 12*7)", "12*7"),
        ("see ((12+1)*7", "(12+1)*7"),
        ("-3 + 4.5", "-3 + 4.5"),
        ("2**10", "2**10"),
        ("on 2026-11-23, what is 1+1?", "1+1"),
    ],
)
def test_arithmetic_is_given_to_calculate(text, expression):
    assert calls(text) == [("calculate", {"expression": expression})]


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "covid-19",
        "call 7",
        "on 2026-11-23",
        "0b3c-1234-5678-9abc",
        "v1.2-3",
        "order ab-12-34",
        "v1.2-3a",
        "c++ 11",
        "* 5",
        "1 + x",
    ],
)
def test_what_is_no_arithmetic_is_answered_in_words(text):
    assert calls(text) == []


@pytest.mark.parametrize(
    ("text", "zone"), [("What time is it?", "UTC"), ("Tell me the time in Europe/Paris", "Europe/Paris")]
)
def test_the_time_is_asked_of_current_time(text, zone):
    assert calls(text) == [("current_time", {"zone": zone})]


def test_two_wishes_are_two_calls():
    assert [name for name, _ in calls("What time is it, and what is 1+1?")] == ["calculate", "current_time"]


def test_a_plain_answer_repeats_the_message_and_says_what_it_is():
    text = ask("hello [sim:text]  you").text
    assert text.startswith("You said: hello you\n")
    assert NOTE in text


def test_a_long_message_is_not_repeated_whole():
    assert len(ask("x" * 30_000).text) < 600


def test_the_same_question_has_the_same_answer():
    assert ask("hello") == ask("hello")


def test_text_calls_no_tool():
    assert calls("[sim:text] What is 12*7?") == []


def test_a_fault_without_a_tool_marker_calls_no_tool():
    assert calls("[sim:cut] What is 12*7?") == []


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("[sim:tool]", [("search", {"q": "example"})]),
        ("[sim:tool] 2+2", [("calculate", {"expression": "2+2"})]),
        ("[sim:tool] 2+2, what time is it", [("calculate", {"expression": "2+2"})]),
    ],
)
def test_tool_calls_exactly_one_that_suits(text, called):
    assert calls(text) == called


def test_tool_makes_up_arguments_for_the_tools_it_knows():
    assert calls("[sim:tool]", tools=TOOLS[1:2]) == [("calculate", {"expression": "6*7"})]
    assert calls("[sim:tool]", tools=TOOLS[2:]) == [("current_time", {"zone": "UTC"})]


def test_tools3_calls_three():
    assert [name for name, _ in calls("[sim:tools3]")] == ["search", "calculate", "current_time"]
    assert [name for name, _ in calls("[sim:tools3]", tools=TOOLS[1:2])] == ["calculate"] * 3


@pytest.mark.parametrize("tools", [[], [{"type": "web_search_20250305", "name": "web_search"}]])
def test_tool_without_a_tool_of_the_client_is_answered_in_words(tools):
    assert calls("[sim:tool] 1+1", tools=tools) == []


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ({"type": "none"}, []),
        ({"type": "any"}, ["search"]),
        ({"type": "tool", "name": "current_time"}, ["current_time"]),
        ({"type": "auto"}, []),
    ],
)
def test_the_choice_of_tools_is_honoured(choice, called):
    assert [name for name, _ in calls("hello", tool_choice=choice)] == called


def test_parallel_calls_can_be_switched_off():
    assert len(calls("[sim:tools3]", tool_choice={"type": "auto", "disable_parallel_tool_use": True})) == 1


def after_tool(result, text="What is 12*7?", after=()):
    use = {"type": "tool_use", "id": "t", "name": "calculate", "input": {}}
    messages = [
        {"role": "user", "content": text},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"} | result]},
        *after,
    ]
    return ask(text, messages=messages)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"content": "84"}, "calculate returned 84."),
        ({"content": [{"type": "text", "text": "84"}]}, "calculate returned 84."),
        ({}, "calculate returned nothing."),
        ({"content": "no", "is_error": True}, "calculate failed: no."),
    ],
)
def test_the_answer_after_a_tool_tells_its_result(result, said):
    told = after_tool(result)
    assert told.text.startswith(said)
    assert told.calls == ()


def test_a_system_message_after_the_results_starts_no_new_round():
    told = after_tool({"content": "84"}, after=[{"role": "system", "content": "be brief"}])
    assert told.text.startswith("calculate returned 84.")


def test_the_latest_message_is_the_question():
    earlier = [{"role": "user", "content": "[sim:nope] 1+1"}, {"role": "assistant", "content": "2"}]
    conversation = [*earlier, {"role": "user", "content": "and 2+2?"}]
    assert calls("", script=Script(), messages=conversation) == [("calculate", {"expression": "2+2"})]


@pytest.mark.parametrize("text", ["[sim:tool]", "[sim:tools3]", "[sim:tool][sim:500]"])
def test_there_is_one_round_of_tools_only(text):
    assert after_tool({"content": "84"}, text=text).calls == ()


@given(st.text(min_size=1, max_size=400))
def test_any_text_is_answered(text):
    said = ask(text, script=Script())
    assert bool(said.text) != bool(said.calls)


@pytest.mark.parametrize("text", ["(" * 30_000, "1" * 30_000, "1+" * 15_000, "1 " * 15_000, "((1+" * 8_000])
def test_a_hostile_text_is_answered(text):
    assert ask(text)


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_rounds_ask_for_one_tool_each_and_then_there_is_an_answer(rounds):
    messages = [{"role": "user", "content": f"[sim:rounds:{rounds}] go on"}]
    for number in range(rounds):
        said = ask("", script=read(messages[0]["content"]), messages=messages)
        assert (len(said.calls), said.stop_reason) == (1, "tool_use")
        use = {"type": "tool_use", "id": f"t{number}", "name": said.calls[0].name, "input": {}}
        result = {"type": "tool_result", "tool_use_id": f"t{number}", "content": "84"}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    last = ask("", script=read(messages[0]["content"]), messages=messages)
    assert last.stop_reason == "end_turn"


def test_tags_around_a_result_are_read_as_a_model_reads_them():
    framed = '<tool_output tool="calculate" mark="00">\n84\n</tool_output mark="00">'
    assert after_tool({"content": framed}) == after_tool({"content": "84"})
