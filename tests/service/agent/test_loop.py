"""What the model is asked, told and given back, round by round."""

import asyncio

import pytest

from service.agent.conversation.history import decode
from service.agent.events import Began, Text, ToolEnded, ToolStarted
from service.agent.framing import Frame, instructed
from service.agent.model import ContentBegan, Reply, TextPiece, ToolUse
from service.agent.upstream.scripted import ScriptedModel, begin, say, use
from service.errors import BudgetSpent, TokensSpent, ToolBroken, ToolFailed, ToolLimited
from service.web.problems import STATUS
from telemetry.failure import Category, Code
from telemetry.record import Outcome, ToolOutcome, Usage
from tests.harness.agent import QUESTION, FakeAsk, FakeGate, FakeTools, TurnHouse, hear_all
from tests.harness.sdk import traced
from tests.harness.tools import built_in


async def echo(arguments):
    return f"got {arguments}"


def calculate(expression="6*7", call_id="c1"):
    return ToolUse(call_id, "calculate", {"expression": expression})


async def test_a_plain_answer():
    model = ScriptedModel(say("Four", "teen."))
    events, record = await TurnHouse(model).whole()
    began = Began("turn-1", QUESTION.conversation_id, QUESTION.model, record.opening.trace_id)
    assert events == [began, Text("Four"), Text("teen.")]
    assert (record.outcome, record.stop_reason, record.response_length) == (
        Outcome.ANSWERED,
        "end_turn",
        9,
    )
    assert record.usage == Usage(input_tokens=10, output_tokens=5)
    (call,) = record.model_calls
    assert (call.model, call.response_model, call.priced_as) == (QUESTION.model, "scripted", QUESTION.model)
    assert call.cost_micros > 0
    assert [(each.status, each.request_id) for each in call.attempts] == [(200, "req_scripted")]
    assert call.first_chunk_seconds is not None


async def test_the_model_is_asked_what_the_caller_asked():
    tools = FakeTools(echo=echo)
    model = ScriptedModel(say("x"))
    await TurnHouse(model, tools).whole()
    (prompt,) = model.prompts
    assert prompt.messages == ({"role": "user", "content": QUESTION.message},)
    assert (prompt.system, prompt.model, prompt.max_tokens) == (instructed("be brief"), QUESTION.model, 100)
    assert prompt.tools == [{"name": "echo"}]


async def test_a_tool_round_gives_the_models_words_back_unchanged():
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    unknown = {"type": "from_the_future", "x": [1, {"y": None}]}
    wanted = {"type": "tool_use", "id": "c1", "name": "calculate", "input": {"expression": "6*7"}}
    reply = Reply(content=[thinking, unknown, wanted], stop_reason="tool_use", tool_uses=[calculate()])
    model = ScriptedModel((*begin(), ContentBegan(), reply), say("42"))
    events, record = await TurnHouse(model, built_in()).whole()
    question, said, results = model.prompts[1].messages
    assert question == {"role": "user", "content": QUESTION.message}
    assert said == {"role": "assistant", "content": [thinking, unknown, wanted]}
    content = Frame(QUESTION.conversation_id).around("calculate", "42")
    result = {"type": "tool_result", "tool_use_id": "c1", "content": content, "is_error": False}
    assert results == {"role": "user", "content": [result]}
    milliseconds = round(record.tool_calls[0].seconds * 1000)
    assert events[1:3] == [
        ToolStarted("c1", "calculate"),
        ToolEnded("c1", "calculate", ToolOutcome.FINISHED, milliseconds),
    ]
    assert record.tools_called == ("calculate",)
    assert record.usage == Usage(input_tokens=20, output_tokens=6)


async def test_three_tools_run_in_order_and_answer_in_one_message():
    tools = FakeTools(a=echo, b=echo)
    wanted = [ToolUse("1", "b", {"n": 1}), ToolUse("2", "a", {"n": 2}), ToolUse("3", "b", {"n": 3})]
    model = ScriptedModel(use(*wanted), say("done"))
    _, record = await TurnHouse(model, tools).whole()
    assert tools.ran == [("b", {"n": 1}), ("a", {"n": 2}), ("b", {"n": 3})]
    assert [each["tool_use_id"] for each in model.prompts[1].messages[2]["content"]] == ["1", "2", "3"]
    assert record.tools_called == ("b", "a")
    assert len(record.tool_calls) == 3


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (ToolUse("c1", "calculate", None), "The arguments are not a JSON object."),
        (ToolUse("c1", "nope", {}), "There is no such tool."),
        (ToolUse("c1", "calculate", {"x": 1}), "The arguments of calculate do not fit"),
        (calculate("1/0"), "zero"),
    ],
)
async def test_a_tool_that_fails_is_told_to_the_model_and_the_turn_goes_on(wanted, sentence):
    model = ScriptedModel(use(wanted), say("sorry"))
    events, record = await TurnHouse(model, built_in()).whole()
    (result,) = model.prompts[1].messages[2]["content"]
    assert result["is_error"] is True
    assert sentence in result["content"]
    assert [each.outcome for each in events if isinstance(each, ToolEnded)] == [ToolOutcome.FAILED]
    assert record.outcome is Outcome.ANSWERED
    assert record.failure is None
    (failure,) = record.errors
    assert failure.category is Category.VALIDATION


async def test_what_broke_inside_a_tool_stays_with_us():
    async def broken(_):
        raise ToolBroken("It failed by itself.") from RuntimeError("/secret/path")

    model = ScriptedModel(use(ToolUse("c1", "broken", {})), say("sorry"))
    _, record = await TurnHouse(model, FakeTools(broken=broken)).whole()
    (result,) = model.prompts[1].messages[2]["content"]
    assert "\nIt failed by itself.\n" in result["content"]
    assert record.errors[0].code is Code.INTERNAL
    assert "/secret/path" in record.errors[0].stack


async def test_a_foreign_error_of_a_tool_ends_the_turn():
    async def broken(_):
        raise ZeroDivisionError("boom")

    model = ScriptedModel(use(ToolUse("c1", "broken", {})), say("never"))
    _, record = await TurnHouse(model, FakeTools(broken=broken)).whole()
    assert (record.outcome, record.failure.code) == (Outcome.FAILED, Code.INTERNAL)
    assert record.tool_calls[0].outcome is ToolOutcome.FAILED
    assert len(model.prompts) == 1


async def test_a_tools_failure_has_its_own_sentence():
    async def refuse(_):
        raise ToolFailed("Only on Mondays.")

    model = ScriptedModel(use(ToolUse("c1", "refuse", {})), say("ok"))
    await TurnHouse(model, FakeTools(refuse=refuse)).whole()
    assert "\nOnly on Mondays.\n" in model.prompts[1].messages[2]["content"][0]["content"]


@pytest.mark.parametrize("rounds", [1, 2, 5])
async def test_no_tool_runs_beyond_the_allowed_rounds(rounds):
    tools = FakeTools(echo=echo)
    model = ScriptedModel(*[use(ToolUse(f"c{n}", "echo", {})) for n in range(rounds + 1)])
    _, record = await TurnHouse(model, tools, rounds=rounds).whole()
    assert len(tools.ran) == rounds
    assert len(model.prompts) == rounds + 1
    assert (record.outcome, record.failure.code) == (Outcome.FAILED, Code.UPSTREAM_ERROR)


async def test_the_last_allowed_round_may_answer():
    model = ScriptedModel(use(calculate()), use(calculate()), say("42"))
    _, record = await TurnHouse(model, built_in(), rounds=2).whole()
    assert record.outcome is Outcome.ANSWERED


async def test_a_paused_turn_is_taken_up_again():
    model = ScriptedModel(say("Let me", stop_reason="pause_turn"), say(" see."))
    events, record = await TurnHouse(model).whole()
    assert model.prompts[1].messages[1:] == (
        {"role": "assistant", "content": [{"type": "text", "text": "Let me"}]},
    )
    assert [each.text for each in events if isinstance(each, Text)] == ["Let me", " see."]
    assert (record.stop_reason, len(record.model_calls)) == ("end_turn", 2)


async def test_a_turn_that_pauses_for_ever_ends():
    model = ScriptedModel(*[say("x", stop_reason="pause_turn")] * 4)
    _, record = await TurnHouse(model, rounds=3).whole()
    assert record.failure.code is Code.UPSTREAM_ERROR


async def test_an_answer_without_content_begins_all_the_same():
    events, record = await TurnHouse(ScriptedModel(say())).whole()
    assert [type(each) for each in events] == [Began]
    assert (record.outcome, record.response_length) == (Outcome.ANSWERED, 0)
    assert record.model_calls[0].first_chunk_seconds is None


async def test_a_turn_begins_once_over_all_its_rounds():
    model = ScriptedModel(use(calculate()), say("42"))
    events, _ = await TurnHouse(model, built_in()).whole()
    assert [isinstance(each, Began) for each in events].count(True) == 1
    assert isinstance(events[0], Began)


async def test_a_slow_tool_does_not_hold_up_other_turns():
    free = asyncio.Event()

    async def slow(_):
        await free.wait()
        return "late"

    model = ScriptedModel(use(ToolUse("c1", "slow", {})), say("second"), say("first"))
    house = TurnHouse(model, FakeTools(slow=slow))
    async with house.listening(FakeAsk(turn_id="turn-1")) as first:
        await first.hear()
        events, _ = await house.whole(FakeAsk(turn_id="turn-2"))
        assert Text("second") in events
        free.set()
        await hear_all(first)
        await first.ended()
    assert [record.opening.turn_id for record in house.records] == ["turn-2", "turn-1"]
    assert {record.outcome for record in house.records} == {Outcome.ANSWERED}


@pytest.mark.parametrize("reason", ["max_tokens", "refusal", "end_turn", "stop_sequence", "from_the_future"])
async def test_no_tool_runs_for_an_answer_that_ended_otherwise(reason):
    text = {"type": "text", "text": "Let me"}
    wanted = {"type": "tool_use", "id": "c1", "name": "echo", "input": {}}
    cut = Reply(content=[text, wanted], stop_reason=reason, tool_uses=[ToolUse("c1", "echo", {})])
    tools, model = FakeTools(echo=echo), ScriptedModel((*begin(), ContentBegan(), TextPiece("Let me"), cut))
    house = TurnHouse(model, tools)
    events, record = await house.whole()
    assert (tools.ran, record.tool_calls, len(model.prompts)) == ([], (), 1)
    assert (record.outcome, record.stop_reason) == (Outcome.ANSWERED, reason)
    assert [type(each) for each in events] == [Began, Text]
    ((_, _, kept),) = house.conversations.kept.values()
    assert decode(kept)[1:] == [{"role": "assistant", "content": [text]}]


async def test_a_paused_answer_goes_back_without_calls_that_get_no_result():
    text = {"type": "text", "text": "Let me"}
    wanted = {"type": "tool_use", "id": "c1", "name": "echo", "input": {}}
    paused = Reply(content=[text, wanted], stop_reason="pause_turn", tool_uses=[ToolUse("c1", "echo", {})])
    tools, model = FakeTools(echo=echo), ScriptedModel((*begin(), ContentBegan(), paused), say("done"))
    _, record = await TurnHouse(model, tools).whole()
    assert (tools.ran, record.outcome) == ([], Outcome.ANSWERED)
    assert model.prompts[1].messages[1:] == ({"role": "assistant", "content": [text]},)


async def test_a_tool_that_the_model_made_up_is_other_on_its_span_and_itself_in_the_record():
    model = ScriptedModel(use(ToolUse("c1", "made-up", {}), calculate(call_id="c2")), say("sorry"))
    with traced() as kept:
        _, record = await TurnHouse(model, built_in()).whole()
    told = [each for each in kept.get_finished_spans() if each.name.startswith("execute_tool")]
    assert [each.name for each in told] == ["execute_tool other", "execute_tool calculate"]
    assert [each.attributes["gen_ai.tool.name"] for each in told] == ["other", "calculate"]
    assert record.tools_called == ("made-up", "calculate")


async def test_every_call_but_the_first_is_allowed_by_its_own_worst_case():
    gate, tools = FakeGate(), FakeTools(echo=echo)
    model = ScriptedModel(use(ToolUse("1", "echo", {})), use(ToolUse("2", "echo", {})), say("done"))
    _, record = await TurnHouse(model, tools, gate=gate).whole()
    (grant,) = gate.grants
    assert grant.tools == ["echo", "echo"]
    spent = [call.cost_micros for call in record.model_calls]
    assert [micros for _, micros in grant.calls] == [spent[0], spent[0] + spent[1]]
    first, second = (need for need, _ in grant.calls)
    assert second.tokens > first.tokens > QUESTION.max_tokens


@pytest.mark.parametrize(
    ("denial", "code", "status"),
    [(BudgetSpent("x"), Code.OVER_BUDGET, 402), (TokensSpent("x"), Code.TOKENS_LIMITED, 429)],
)
async def test_a_turn_that_is_allowed_no_further_call_fails_and_costs_what_it_did(denial, code, status):
    gate, tools = FakeGate(), FakeTools(echo=echo)
    gate.deny = denial
    model = ScriptedModel(use(ToolUse("1", "echo", {})))
    _, record = await TurnHouse(model, tools, gate=gate).whole()
    assert (record.outcome, record.failure.code, STATUS[code]) == (Outcome.FAILED, code, status)
    assert (len(record.model_calls), len(model.prompts)) == (1, 1)
    assert gate.grants[0].closed == [([record.usage.total_tokens], record.cost_micros)]


async def test_a_tool_that_is_not_allowed_is_denied_and_the_model_is_told():
    gate, tools = FakeGate(), FakeTools(echo=echo)
    gate.deny = ToolLimited("The tool echo may not be used again so soon.")
    model = ScriptedModel(use(ToolUse("1", "echo", {})), say("sorry"))
    house = TurnHouse(model, tools, gate=gate)
    events, record = await house.whole()
    assert tools.ran == []
    (call,) = record.tool_calls
    assert (call.outcome, call.failure.code) == (ToolOutcome.DENIED, Code.RATE_LIMITED)
    assert [event.outcome for event in events if isinstance(event, ToolEnded)] == [ToolOutcome.DENIED]
    (result,) = model.prompts[1].messages[2]["content"]
    assert (result["content"], result["is_error"]) == (gate.deny.detail, True)
    assert record.outcome is Outcome.ANSWERED
