import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.simulator import MARKERS
from service.simulator.error import ApiError
from service.simulator.markers import Script, read

CONTRACT = (
    "text tool tools3 400 401 402 403 404 413 429 500 503 529 429-after:N slow:MS stall cut "
    "error-event truncate bad-json refuse"
)


def test_the_table_names_what_the_contract_names():
    assert list(MARKERS) == [*CONTRACT.split(), "bad-schema", "rounds:N"]
    assert all(MARKERS.values())


def test_a_message_without_markers_asks_for_nothing():
    assert read("What is [12] * sim:500 [sim]?") == Script()


@pytest.mark.parametrize("name", CONTRACT.split())
def test_each_marker_of_the_table_is_read(name):
    word = name.replace("N", "7").replace("MS", "7")
    script = read(f"before [sim:{word}] after")
    assert script.markers == (word,)
    assert (script.rounds or script.fault or "slow") == name.partition(":")[0]


@pytest.mark.parametrize(
    ("word", "status"), [("529", 529), ("429-after:3", 429), ("cut", None), ("text", None)]
)
def test_a_status_marker_knows_its_status(word, status):
    assert read(f"[sim:{word}]").status == status


def test_markers_of_three_kinds_combine():
    script = read("[sim:tool][sim:slow:50] x [sim:429-after:0]")
    assert (script.rounds, script.slow_ms, script.fault) == ("tool", 50, "429-after")
    assert script.retry_after_seconds == 0


def test_a_marker_said_twice_counts_once():
    assert read("[sim:cut] [sim:cut]") == read("[sim:cut]")


@pytest.mark.parametrize(
    "text",
    ["[sim:tool][sim:text]", "[sim:cut][sim:500]", "[sim:429][sim:429-after:1]", "[sim:slow:1][sim:slow:2]"],
)
def test_two_markers_of_a_kind_are_refused(text):
    with pytest.raises(ApiError, match="cannot stand with") as refused:
        read(text)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "word",
    [
        *("", "nope", "TEXT", " text", "text:1", "500:1", "418", "429-after", "429-after:N"),
        *(
            "slow",
            "slow:",
            "slow:x",
            "slow:-1",
            "slow:1.5",
            "slow:MS",
            "slow:12345678",
            "slow:\u0661",
            "slow:1:2",
        ),
    ],
)
def test_a_marker_nobody_knows_is_refused_with_the_known_ones(word):
    with pytest.raises(ApiError) as refused:
        read(f"[sim:{word}]")
    assert refused.value.type == "invalid_request_error"
    assert all(name in refused.value.message for name in MARKERS)


def test_an_endless_unknown_marker_is_not_repeated_whole():
    with pytest.raises(ApiError) as refused:
        read(f"[sim:{'x' * 10_000}]")
    assert len(refused.value.message) < 1_000


def status_of(text):
    """The status a text is refused with; None where it is read."""
    try:
        read(text)
    except ApiError as error:
        return error.status
    return None


@given(st.text())
def test_any_text_is_read_or_refused(text):
    assert status_of(f"[sim:{text}]") in {None, 400}
