"""A thousand calls at once on money for ten: nobody too many, and in the end nothing is put aside.

The real service, both databases; callers who leave, processes that are killed, and several on one ledger.
"""

import asyncio
import json
import os
import random
from collections import Counter
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from tests.faults.money import charged, faults, ledger, watched
from tests.harness.chat import ROUTE, ask
from tests.harness.postgres import Postgres
from tests.harness.service import Service
from tests.harness.sql import ask as sql
from tests.harness.waiting import PATIENCE, wait

CALLS = int(os.environ.get("PARLEY_CALLS", "1000"))
SECRET = "a root secret of the tests, long enough for anybody to believe it"
MANY = {
    "AGENT_SECRET_KEY": SECRET,
    "AGENT_RATE_LIMIT_ROLES": "AUDITEE=1000",
    "AGENT_RATE_LIMIT_CONCURRENCY": "1000",
    "AGENT_MAX_TURNS": "1000",
    "AGENT_MAX_TOOL_ROUNDS": "1",
    "AGENT_MAX_TOKENS": "100",
}
QUESTION = "Hello [sim:slow:20]"
ROUNDS = 10
REFUSED = {402, 503}
"""By the budget, and by a ledger that has no time for a thousand at once, as on a busy machine."""
RESERVATIONS = "SELECT COUNT(*) AS n FROM budget_reservation"


@pytest.fixture
def start(tmp_path, database_url):
    """Start services over one database, each in a folder of its own."""
    with ExitStack() as started:

        def begin(name="one", **settings):
            cwd = tmp_path / name
            cwd.mkdir(exist_ok=True)
            given = MANY | {"DATABASE_URL": database_url} | settings
            return started.enter_context(Service(cwd, given))

        yield begin


def worst(service):
    """What is put aside for one question, in micro-dollars."""
    turn = ask(service, QUESTION).json()["id"]
    (row,) = service.wait_for_rows(entityId=turn)
    return row["metadata"]["budget"]["reservedMicros"]


def asked(key, *, stream):
    """The question's bytes."""
    body = json.dumps({"message": QUESTION, "stream": stream})
    head = f"POST {ROUTE} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


async def call(url, key, *, stream=False, leave=False, heard=None):
    """One question on a connection of its own; its status, 0 where the caller left or was cut off.

    `heard` is set once an answer begins.
    """
    place = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
    except OSError:
        return 0
    try:
        writer.write(asked(key, stream=stream))
        status = int((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1])
        if heard:
            heard.set()
        if leave and status == 200:
            await reader.readuntil(b"event: text")
            return 0
        await reader.read()
    except (OSError, asyncio.IncompleteReadError):
        return 0
    else:
        return status
    finally:
        writer.close()


def known(service):
    """Ask something that costs nothing: the key is known from then on."""
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        bearer = {"authorization": f"Bearer {service.api_key}"}
        assert client.get(f"{service.url}/api/v1/limits", headers=bearer).status_code == 200


def herd(services, number, **how):
    """So many calls at once, over these services."""
    for each in services:
        known(each)

    async def all_of_them():
        calls = (call(each.url, each.api_key, **how) for each in services for _ in range(number))
        return Counter(await asyncio.gather(*calls))

    return asyncio.run(all_of_them())


def herds(services, number):
    """Herds, until the budget has let somebody in, and has refused somebody."""
    told = Counter()
    for herds_gone in range(1, ROUNDS + 1):
        told += herd(services, number)
        assert sum(told.values()) == number * len(services) * herds_gone
        assert set(told) <= {200, *REFUSED}, told
        if {200, 402} <= set(told):
            return told
    raise AssertionError(told)


def at_rest(url):
    """Wait until nothing is put aside any more, and hold the ledger to the rows."""
    wait(lambda: sql(url, RESERVATIONS)[0]["n"] == 0, PATIENCE * 3, seen=lambda: str(faults(url)))
    wait(lambda: faults(url) == [], seen=lambda: str(faults(url)))


def dollars(micros):
    return f"{micros / 1_000_000:.6f}"


def measured(start):
    """What one question may cost at the worst, and what it did cost."""
    service = start(AGENT_BUDGET_TOTAL_DAY_USD="1000")
    micros = worst(service)
    assert service.stop() == 0
    return micros


def spent(url):
    return next(sums[0] for key, sums in ledger(url).items() if key[0] == "total")


def test_a_thousand_at_once_on_money_for_ten(start, database_url):
    micros = measured(start)
    limit = spent(database_url) + 10 * micros
    service = start(AGENT_BUDGET_TOTAL_DAY_USD=dollars(limit))
    with watched(database_url, limit) as seen:
        told = herds([service], CALLS)
    at_rest(database_url)
    assert max(seen) > limit - micros
    assert spent(database_url) <= limit
    assert len(service.rows(outcome="answered")) == told[200] + 1


def test_whoever_asks_one_after_another_is_let_in_until_a_worst_case_is_not_left(start, database_url):
    """No refusal while there is room: what a turn did not cost is there for the next."""
    micros = measured(start)
    limit = spent(database_url) + 2 * micros
    service = start(AGENT_BUDGET_TOTAL_DAY_USD=dollars(limit))
    while ask(service, "Hello").status_code == 200:
        pass
    (refused,) = service.wait_for_rows(outcome="refused")
    assert refused["code"] == "over_budget"
    at_rest(database_url)
    assert limit - spent(database_url) < micros


def test_streams_that_are_left_are_charged_what_they_cost(start, database_url):
    service = start(AGENT_BUDGET_TOTAL_DAY_USD="1000")
    herd([service], 40, stream=True, leave=True)
    service.wait_for_rows(40)
    assert service.stop() == 0
    at_rest(database_url)
    assert spent(database_url) == sum(row["costMicros"] for row in service.rows()) > 0
    assert service.rows(outcome="client_gone")


def test_a_killed_process_leaves_nothing_put_aside(start, database_url):
    service = start(AGENT_BUDGET_USER_DAY_USD="1000", AGENT_BUDGET_TOTAL_MONTH_USD="1000")
    for _ in range(3):
        assert ask(service, "Hello").status_code == 200
        killed_while_asked(service)
        service.start()
    wait(lambda: service.rows(outcome="interrupted"), PATIENCE * 2, seen=service.said)
    assert service.stop() == 0
    at_rest(database_url)
    assert charged(database_url)


def killed_while_asked(service):
    async def ask_and_kill():
        heard = asyncio.Event()
        asking = [call(service.url, service.api_key, stream=True, heard=heard) for _ in range(60)]
        calls = [asyncio.create_task(each) for each in asking]
        await heard.wait()
        await asyncio.sleep(random.uniform(0.0, 0.3))  # noqa: S311 - no secret
        service.kill()
        await asyncio.gather(*calls)

    asyncio.run(ask_and_kill())


def test_several_processes_never_pass_one_budget_together(start, database_url):
    micros = measured(start)
    limit = spent(database_url) + 10 * micros
    services = [start(name, AGENT_BUDGET_TOTAL_DAY_USD=dollars(limit)) for name in ("one", "two", "three")]
    with watched(database_url, limit):
        herds(services, CALLS // 10)
    at_rest(database_url)


def test_while_the_ledger_stands_still_callers_are_told_so(start):
    """It is no failure of theirs, and over once it answers again; a hundredth of this budget is no turn."""
    with Postgres() as own:
        service = start(DATABASE_URL=own.database(), AGENT_BUDGET_USER_DAY_USD="0.5")
        assert ask(service, "Hello").status_code == 200
        own.freeze()
        try:
            refused = wait(lambda: _refused(service), seen=service.said)
        finally:
            own.thaw()
        assert (refused["code"], refused["category"]) == ("budget_unavailable", "rate_limit")
        wait(lambda: ask(service, "Hello").status_code == 200, seen=service.said)
        assert service.stop() == 0


def _refused(service):
    answer = ask(service, "Hello")
    return answer.json() if answer.status_code == 503 else None
