"""What is kept of a turn, and what the model is told of it again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.agent.conversation import history
from service.errors import DatabaseError
from service.store.conversations import KeptTurn

QUESTION = {"role": "user", "content": "What is 12*7?"}
THOUGHT = {"type": "thinking", "thinking": "12*7", "signature": "s1"}
USE = {"type": "tool_use", "id": "t1", "name": "calculate", "input": {"expression": "12*7", "n": 1.5}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "84", "is_error": False}
TEXT = {"type": "text", "text": "It is 84.", "citations": None}
TURN = [
    QUESTION,
    {"role": "assistant", "content": [THOUGHT, USE]},
    {"role": "user", "content": [RESULT]},
    {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}, TEXT]},
]


def turn(number=1, messages=TURN, model="m1"):
    return KeptTurn(
        turn_id=f"turn-{number}",
        conversation_id="c",
        position=number,
        model=model,
        messages=messages if isinstance(messages, str) else history.encode(messages),
        asked_at=1,
        answered_at=2,
    )


def test_the_model_is_told_its_own_words_unchanged():
    assert history.told_again([turn()], "m1") == TURN


def test_another_model_is_not_told_what_only_the_first_may_read():
    assert history.told_again([turn()], "m2") == [
        QUESTION,
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [RESULT]},
        {"role": "assistant", "content": [TEXT]},
    ]


def test_a_message_of_thoughts_alone_is_left_out_for_another_model():
    only = [QUESTION, {"role": "assistant", "content": [THOUGHT]}]
    assert history.told_again([turn(messages=only)], "m2") == [QUESTION]


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_blank_text_is_not_kept_since_no_model_takes_it_back(text):
    blank = {"type": "text", "text": text}
    messages = [QUESTION, {"role": "assistant", "content": [blank, TEXT]}]
    assert history.told_again([turn(messages=messages)], "m1")[1]["content"] == [TEXT]
    assert history.told_again(
        [turn(messages=[QUESTION, {"role": "assistant", "content": [blank]}])], "m1"
    ) == [QUESTION]


def test_pairs_of_surrogates_are_joined_and_halves_replaced():
    parted = {"type": "text", "text": "\ud83d" + "\ude00 \ud83d!"}
    (_, told) = history.told_again(
        [turn(messages=[QUESTION, {"role": "assistant", "content": [parted]}])], "m1"
    )
    assert told["content"][0]["text"] == "\U0001f600 \ufffd!"


@given(st.text())
def test_any_text_comes_back(text):
    said = [{"role": "user", "content": "x" + text}]
    (told,) = history.told_again([turn(messages=said)], "m1")
    assert told["content"] == "x" + text


def test_turns_are_told_oldest_first():
    turns = [turn(n, [{"role": "user", "content": f"q{n}"}]) for n in range(3)]
    assert [each["content"] for each in history.told_again(turns, "m1")] == ["q0", "q1", "q2"]


def test_the_first_message_is_a_users():
    cut = turn(1, [{"role": "assistant", "content": [TEXT]}])
    assert history.told_again([cut, turn(2)], "m1") == TURN


@pytest.mark.parametrize("damaged", ["", "{}", "[1]", "null", "[", '"x"'])
def test_a_damaged_turn_is_an_error(damaged):
    with pytest.raises(DatabaseError, match="damaged"):
        history.told_again([turn(messages=damaged)], "m1")


def test_words_are_those_of_text_blocks():
    assert [history.text_of(each) for each in TURN] == ["What is 12*7?", "", "", "It is 84."]
