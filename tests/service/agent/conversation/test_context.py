"""How much of a conversation fits a model's window: whole turns, the latest first, by what was counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.agent.conversation import context
from service.agent.model import Prompt
from service.errors import TooLarge
from service.store.conversations import KeptTurn
from telemetry.record import History
from tests.service.agent.conversation.test_history import TURN, turn

PROMPT = Prompt(
    model="m1", system="s" * 30, messages=({"role": "user", "content": "q" * 290},), tools=(), max_tokens=100
)
"""Takes 10 tokens of system prompt, 102 of question and 100 of answer."""
ALONE = 212


def counted(number, tokens):
    said = [{"role": "user", "content": f"q{number}"}, {"role": "assistant", "content": f"a{number}"}]
    made = turn(number, said)
    return KeptTurn(**{name: getattr(made, name) for name in KeptTurn.__struct_fields__} | {"tokens": tokens})


def told(turns, window):
    found = context.fitted(PROMPT, turns, window)
    return [each["content"] for each in found.prompt.messages[:-1] if each["role"] == "user"], found.history


def test_all_is_told_where_there_is_room():
    turns = [counted(1, 50), counted(2, 30)]
    found = context.fitted(PROMPT, turns, 1_000)
    assert [each["content"] for each in found.prompt.messages[:-1]] == ["q1", "a1", "q2", "a2"]
    assert found.prompt.messages[-1:] == PROMPT.messages
    assert (found.history, found.before) == (History(turns=2, dropped=0, tokens=80), 10 + 80)


ROOMS = [(0, 0), (39, 0), (40, 1), (99, 1), (100, 2), (149, 2), (150, 3)]


@pytest.mark.parametrize(("room", "most"), ROOMS)
def test_the_oldest_go_first_and_always_whole(room, most):
    turns = [counted(1, 50), counted(2, 60), counted(3, 40)]
    window = next(size for size in range(1_000) if size - size // context.SPARE - ALONE == room)
    found, history = told(turns, window)
    assert found == ["q1", "q2", "q3"][3 - most :]
    assert (history.turns, history.dropped) == (most, 3 - most)
    assert history.tokens == sum(each.tokens for each in turns[3 - most :])


def test_none_is_told_whose_successor_is_not():
    found, history = told([counted(1, 1), counted(2, 900), counted(3, 1)], 600)
    assert (found, history) == (["q3"], History(turns=1, dropped=2, tokens=1))


def test_turns_that_were_not_even_read_are_said_to_be_dropped():
    _, history = told([counted(8, 10), counted(9, 10)], 1_000)
    assert history == History(turns=2, dropped=7, tokens=20)
    _, history = told([counted(8, 900), counted(9, 900)], 600)
    assert history == History(turns=0, dropped=9, tokens=0)


def test_a_turn_of_before_is_estimated_by_its_length():
    early = turn(1, TURN)
    assert context.weight(early) == -(-len(early.messages.encode()) // 3)
    assert context.weight(counted(1, 7)) == 7


def test_a_question_without_room_is_refused():
    assert context.fitted(PROMPT, [], ALONE).prompt == PROMPT
    with pytest.raises(
        TooLarge, match=f"takes {ALONE - 1} tokens, of which the answer may be 100"
    ) as refused:
        context.fitted(PROMPT, [counted(1, 1)], ALONE - 1)
    assert [each.field for each in refused.value.fields] == ["message"]


def test_a_file_counts_by_what_it_shows():
    def size(data):
        source = {"type": "base64", "media_type": "image/png", "data": data}
        return context.tokens_of([{"role": "user", "content": [{"type": "image", "source": source}]}])

    assert size("x") == size("x" * 90_000) < 1_700
    assert size("x" * 900_000) < 20_000


@given(st.lists(st.integers(1, 400), max_size=8), st.integers(ALONE, 3_000))
def test_what_is_told_never_has_more_tokens_than_the_window(sizes, window):
    turns = [counted(number, tokens) for number, tokens in enumerate(sizes, 1)]
    history = context.fitted(PROMPT, turns, window).history
    assert history.turns + history.dropped == len(sizes)
    assert history.tokens + ALONE <= window
    if history.dropped:
        assert history.tokens + sizes[history.dropped - 1] + ALONE > window - window // context.SPARE
