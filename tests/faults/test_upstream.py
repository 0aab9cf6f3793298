"""Whatever a model's API does wrong, its turn ends once, by the right word, and leaves nothing open."""

import pytest

from tests.conftest import TOLD
from tests.faults.upstream import Upstream
from tests.faults.upstream_round import MODES, Service, closing, judge, play
from tests.faults.upstream_table import FAULTS
from tests.harness.chat import Farewell, ask, hang_up
from tests.harness.waiting import wait

SCRIPTS = {name: fault.scripts for name, fault in FAULTS.items()}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Every fault once, in both modes, many at a time."""
    return play(tmp_path_factory.mktemp("upstream"), FAULTS)


def test_there_are_many():
    assert len(FAULTS) >= 60


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_by_its_word_and_accounted_for(played, name, mode):
    cases, _ = played
    assert list(judge(cases[name, mode])) == []


def test_nothing_is_left_over(played, record_property):
    cases, wrong = played
    assert wrong == []
    waits = closing(cases.values())
    assert float("inf") not in waits
    middle, most = waits[len(waits) // 2], waits[-1]
    said = f"{middle:.0f} ms in the middle and {most:.0f} ms at most after the turn's end"
    record_property(TOLD, f"{len(FAULTS)} faults of the API in two modes; connections closed {said}")


@pytest.mark.parametrize("name", ["silent", "stall-0", "stall-1", "stall-4", "pings-3"])
@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
def test_our_deadline_closes_the_connection_of_a_silent_api(deadline, name, streamed):
    service, upstream = deadline
    token = f"{name}.{streamed}"
    response = ask(service, f"fault:{name}#{token}", stream=streamed)
    heard = streamed and name in {"stall-4", "pings-3"}
    assert response.status_code == (200 if heard else 504)
    assert "turn_timeout" in response.text
    wait(lambda: upstream.asked[token][0].closed)
    (row,) = service.wait_for_rows(entityId=response.headers["x-request-id"])
    assert (row["outcome"], row["code"]) == ("timed_out", "turn_timeout")


def test_a_client_that_leaves_a_silent_api_closes_the_connection(deadline):
    service, upstream = deadline
    hang_up(service, "fault:stall-4#left", Farewell.FIN)
    wait(lambda: upstream.asked["left"][0].closed)


@pytest.fixture(scope="module")
def deadline(tmp_path_factory):
    """A service whose turns are over before its patience is, and its API."""
    cwd = tmp_path_factory.mktemp("deadline")
    with Upstream(SCRIPTS) as upstream:
        settings = upstream.settings | {
            "AGENT_TURN_TIMEOUT_MS": "2000",
            "AGENT_RATE_LIMIT_ROLES": "AUDITEE=99",
        }
        with Service(cwd, settings) as service:
            wait(
                lambda: ask(service, "fault:fine-all-at-once#warm").status_code == 200
            )  # the first waits for the SDK
            yield service, upstream
