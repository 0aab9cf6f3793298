"""A store of limits in memory outlives its process: what was admitted is counted again out of the record."""

import asyncio
import json
import time

import pytest

from tests.harness.chat import ask
from tests.harness.service import Service
from tests.harness.waiting import wait

LIMITS = {"AGENT_RATE_LIMIT_ROLES": "AUDITEE=20", "AGENT_RATE_LIMIT_WINDOW_MS": "30000"}


def used_up(service: Service) -> float:
    """Ask as often as the limit allows; gives the time before the first question was asked."""
    began = time.time()
    assert [ask(service, "Hello").status_code for _ in range(20)] == [200] * 20
    return began


def until_the_window_is_over(began: float) -> None:
    # the first of twenty leaves the window then; what is waited for here is a promise in seconds
    wait(lambda: time.time() > began + 30.5, seconds=60)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_after_a_restart_a_window_goes_on(start_service, end):
    service = start_service(**LIMITS)
    began = used_up(service)
    getattr(service, end)()
    service.start()
    refused = ask(service, "Hello")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["ratelimit-policy"] == '"role";q=20;w=30'
    assert 0 < int(refused.headers["retry-after"]) <= 30
    until_the_window_is_over(began)
    assert ask(service, "Hello").status_code == 200


def test_what_was_cut_off_counts_and_what_was_refused_does_not(start_service):
    service = start_service(AGENT_RATE_LIMIT_ROLES="AUDITEE=3", AGENT_RATE_LIMIT_WINDOW_MS="86400000")

    async def left_in_the_middle() -> None:
        asked = [asyncio.create_task(asyncio.to_thread(ask, service, "[sim:stall]")) for _ in range(2)]
        await asyncio.to_thread(wait, lambda: remaining(service) == 1, seen=service.said)
        service.kill()
        await asyncio.gather(*asked, return_exceptions=True)

    asyncio.run(left_in_the_middle())
    service.start()
    assert [ask(service, "Hello").status_code for _ in range(3)] == [200, 429, 429]
    service.kill()
    service.start()
    assert (remaining(service), ask(service, "Hello").status_code) == (0, 429)


def test_a_reset_is_heard_within_a_moment_and_holds_after_a_restart(start_service):
    service = start_service(AGENT_RATE_LIMIT_ROLES="AUDITEE=2", AGENT_RATE_LIMIT_WINDOW_MS="86400000")
    assert [ask(service, "Hello").status_code for _ in range(3)] == [200, 200, 429]
    done = service.cli("limits", "reset", "dev", "--json")
    assert (done.returncode, json.loads(done.stdout)["subject"]) == (0, "dev"), done.stderr
    wait(lambda: remaining(service) == 2, seen=service.said)
    assert ask(service, "Hello").status_code == 200
    service.kill()
    service.start()
    assert remaining(service) == 1
    # an old reset is not heard a second time
    time.sleep(2.5)
    assert [ask(service, "Hello").status_code for _ in range(2)] == [200, 429]


def remaining(service: Service) -> int:
    """What the role's limit leaves the development key."""
    import httpx

    headers = {"Authorization": f"Bearer {service.api_key}"}
    told = httpx.get(f"{service.url}/api/v1/limits", headers=headers, trust_env=False, timeout=30).json()
    (role,) = [each for each in told["policies"] if each["name"] == "role"]
    return role["remaining"]
