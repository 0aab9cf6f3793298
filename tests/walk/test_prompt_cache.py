"""The prompt cache over the real service: what is read of it costs less, in every telling."""

import pytest

from tests.conftest import MANY, SOON
from tests.harness.chat import ask, stream
from tests.harness.otlp import Receiver
from tests.harness.service import Service
from tests.harness.telling import told, total
from tests.walk.test_conversations import key_of

SYSTEM = "You know the house rules by heart. " * 120
LONG = "A long question, word by word. " * 80
MICROS = 1_000_000
READ, WRITTEN, INPUT = "cacheReadTokens", "cacheWriteTokens", "inputTokens"


@pytest.fixture(scope="module")
def hearing():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def keeping(tmp_path_factory, hearing):
    settings = hearing.settings() | SOON | MANY | {"AGENT_SYSTEM_PROMPT": SYSTEM}
    with Service(tmp_path_factory.mktemp("keeping"), settings) as service:
        yield service


@pytest.fixture(scope="module")
def turns(keeping):
    """A conversation of three turns, and what two others ask who know nothing of it."""
    first = ask(keeping, f"one {LONG}").json()
    later = [ask(keeping, f"{n} {LONG}", conversationId=first["conversationId"]).json() for n in ("2", "3")]
    other = ask(keeping, "one", key=key_of(keeping, "bob")).json()
    return [first, *later, other]


def usages(turns):
    return [(each["usage"][READ], each["usage"][WRITTEN], each["usage"][INPUT]) for each in turns]


def test_the_next_turn_reads_what_the_one_before_wrote(turns):
    (read, written, whole), (read_2, written_2, _), (read_3, _, _), _ = usages(turns)
    assert (read, written) == (0, whole)
    assert read_2 == written
    assert read_3 == read_2 + written_2 > read_2


def test_somebody_else_reads_what_all_have_in_common(turns):
    read, written, whole = usages(turns)[3]
    assert 1_000 < read < turns[1]["usage"][READ]
    assert read + written == whole


def test_it_costs_less_in_every_telling(keeping, hearing, turns):
    """0.1 of the price is paid for what is read, 1.25 for what is written: of 2 dollars a million tokens."""
    for turn in turns[1:3]:
        read, written, whole = turn["usage"][READ], turn["usage"][WRITTEN], turn["usage"][INPUT]
        spared = round(read * 1.9 - written * 0.5)
        (row,) = keeping.wait_for_rows(entityId=turn["id"])
        span = told(keeping, hearing, turn["id"]).agent.attributes
        assert row["metadata"]["cacheSavings"] * MICROS == pytest.approx(spared, abs=1)
        assert span["parley.cost.saved_usd_micros"] == pytest.approx(spared, abs=1)
        assert span["gen_ai.usage.cache_read.input_tokens"] == read
        uncached = whole * 2 + turn["usage"]["outputTokens"] * 10
        assert turn["cost"] * MICROS == pytest.approx(uncached - spared, abs=1)
        assert spared > uncached * 0.3


def test_the_metrics_know_both_sums(keeping, hearing, turns):
    rows = [keeping.wait_for_rows(entityId=turn["id"])[0]["metadata"] for turn in turns]
    cost, saved = (sum(row[name] for row in rows) for name in ("cost", "cacheSavings"))
    assert saved > 0
    hearing.wait(lambda: total(hearing, "parley.cost.uncached") == pytest.approx(cost + saved))
    assert total(hearing, "parley.cost") == pytest.approx(cost)


def test_the_first_turn_pays_for_the_writing(keeping, turns):
    (row,) = keeping.wait_for_rows(entityId=turns[0]["id"])
    assert row["metadata"]["cacheSavings"] == pytest.approx(
        -turns[0]["usage"][WRITTEN] * 0.5 / MICROS, abs=1e-6
    )


def test_a_tool_round_reads_what_the_round_before_wrote(keeping):
    with stream(keeping, f"What is 12*7? [sim:tool] {LONG}") as answer:
        done = answer.rest()[-1].data
    (row,) = keeping.wait_for_rows(entityId=done["id"])
    first, second = row["metadata"]["modelCalls"]
    assert first["savedMicros"] < second["savedMicros"]
    assert second["savedMicros"] > 0


def test_switched_off_nothing_is_kept(start_service):
    service = start_service(AGENT_SYSTEM_PROMPT=SYSTEM, AGENT_PROMPT_CACHE="off")
    first = ask(service, "one").json()
    second = ask(service, "two", conversationId=first["conversationId"]).json()
    assert [each[:2] for each in usages([first, second])] == [(0, 0), (0, 0)]


def test_for_an_hour_it_costs_twice_to_write(start_service):
    service = start_service(AGENT_SYSTEM_PROMPT=SYSTEM, AGENT_PROMPT_CACHE="1h")
    turn = ask(service, "one").json()
    (row,) = service.wait_for_rows(entityId=turn["id"])
    assert row["metadata"]["cacheSavings"] == pytest.approx(-turn["usage"][WRITTEN] * 2 / MICROS, abs=1e-6)
