"""Alerts for whoever runs only `make run`: a burst of errors through the real service, a line, a webhook."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from telemetry.alarms.desk import MEMORY
from telemetry.alarms.sink import FOLDER
from tests.harness.chat import ask
from tests.harness.hook import SECRET, Hook
from tests.harness.quick_alarm import install
from tests.harness.redis import Redis
from tests.harness.service import Service
from tests.harness.waiting import wait

NAME = "AgentServiceSpike"
BURST = 14
ROOM = {"AGENT_RATE_LIMIT_ROLES": "AUDITEE=1000"}


@pytest.fixture
def alarmed(tmp_path):
    """Start a service with a quick alarm and this webhook."""
    services = []

    def start(url=None, arguments=(), **settings):
        to = {"AGENT_ALERT_WEBHOOK": url, "AGENT_ALERT_WEBHOOK_SECRET": SECRET} if url else {}
        (tmp_path / "cwd").mkdir()
        every = install(tmp_path / "site") | to | ROOM | settings
        services.append(Service(tmp_path / "cwd", every, arguments=arguments))
        return services[0].start()

    yield start
    for service in services:
        service.kill()


def burst(service, message="[sim:500]", number=BURST):
    """So many at once; their statuses."""
    with ThreadPoolExecutor(number) as pool:
        answers = pool.map(lambda _: ask(service, message), range(number))
        return {answer.status_code for answer in answers}


def lines(service):
    told = [line for line in service.lines() if line["type"].startswith("alert_")]
    return [(line["level"], line["type"], line["name"]) for line in told]


def kept(service):
    """What the next one who tells is left by this one."""
    path = service.cwd / "var" / "journal" / FOLDER / MEMORY
    return path.read_text() if path.exists() else ""


def told(hook):
    return [(got.said["status"], got.said["commonLabels"]["alertname"]) for got in hook.got]


FIRING, RESOLVED = ("WARN", "alert_firing", NAME), ("INFO", "alert_resolved", NAME)


def test_a_burst_is_one_line_and_one_signed_webhook_and_so_is_its_end(alarmed):
    with Hook() as hook:
        service = alarmed(hook.url)
        assert burst(service) == {500}
        line = service.wait_for_line(type="alert_firing")
        assert line["count"] >= 10
        assert (line["category"], line["severity"], line["traceId"]) == ("agent_service", "page", None)
        service.wait_for_line(type="alert_resolved")
        wait(lambda: len(hook.got) == 2, seen=service.said)
        assert service.stop() == 0
    assert lines(service) == [FIRING, RESOLVED]
    assert told(hook) == [("firing", NAME), ("resolved", NAME)]
    assert all(got.signed() for got in hook.got)


def test_a_receiver_that_fails_is_asked_again_and_answers_go_on(alarmed):
    with Hook([500, 500]) as hook:
        service = alarmed(hook.url)
        burst(service)
        service.wait_for_line(type="alert_firing")
        wait(lambda: len(hook.got) >= 3, seen=service.said)
        assert ask(service, "Hello").status_code == 200
        assert len({got.id for got in hook.got[:3]}) == 1
        assert {line["verb"] for line in service.lines(type="sink_failed", sink="alerts")} == {"post"}
        assert service.stop() == 0


def test_a_receiver_that_is_silent_holds_up_neither_answers_nor_the_stop(alarmed):
    with Hook() as hook:
        hook.silent.set()
        service = alarmed(hook.url)
        burst(service)
        wait(lambda: hook.got, seen=service.said)
        assert burst(service, "Hello") == {200}
        assert service.stop() == 0
        (untold,) = [line for line in service.lines(type="sink_failed") if "ends" in line["error"]]
        assert (untold["sink"], untold["outlet"], untold["waiting"]) == ("alerts", "webhook", 1)


def test_a_stop_tells_what_is_owed_and_a_start_tells_it_not_again(alarmed):
    with Hook([503]) as hook:
        service = alarmed(hook.url)
        burst(service)
        service.wait_for_line(type="alert_firing")
        assert service.stop() == 0
        assert told(hook)[-1] == ("firing", NAME)
        assert len({got.id for got in hook.got}) == 1
        service.start()
        wait(lambda: told(hook)[-1] == ("resolved", NAME), seen=service.said)
        assert service.stop() == 0
        assert len({got.id for got in hook.got}) == 2
    assert lines(service) == [FIRING, RESOLVED]


def test_of_several_workers_one_tells_for_all_and_another_when_it_dies(alarmed):
    with Redis() as redis, Hook() as hook:
        service = alarmed(hook.url, ("--workers", "2"), AGENT_RATE_LIMIT_STORE=redis.url())
        burst(service)
        service.wait_for_line(type="alert_firing")
        wait(lambda: NAME in kept(service), seen=service.said)  # killed before, it would be told twice
        for line in service.lines(type="service_started"):
            os.kill(line["pid"], signal.SIGKILL)
        service.wait_for_line(type="alert_resolved")
        wait(lambda: ("resolved", NAME) in told(hook), seen=service.said)
        assert service.stop() == 0
    assert lines(service) == [FIRING, RESOLVED]
    assert len({got.id for got in hook.got}) == 2


def spent(hook):
    return ("firing", "BudgetSpent") in told(hook)


def test_a_budgets_threshold_is_told_by_the_webhook_and_by_its_own_line_alone(alarmed):
    with Hook() as hook:
        service = alarmed(hook.url, AGENT_BUDGET_USER_DAY_USD="0.02", AGENT_MAX_TOKENS="100")
        # the first refusal may be for money that is put aside and comes back: that is no budget spent
        wait(lambda: ask(service, "Hello").status_code == 402 and spent(hook), seen=service.said)
        assert service.stop() == 0
    of_budgets = [got.said["commonLabels"] for got in hook.got if "budget" in got.said["commonLabels"]]
    lines_told = service.lines(type="budget_threshold")
    assert [int(each["percent"]) for each in of_budgets] == [line["percent"] for line in lines_told]
    assert {each["subject"] for each in of_budgets} == {line["subject"] for line in lines_told}
    assert [name for _, _, name in lines(service) if name.startswith("Budget")] == []
