"""parley serve --workers: processes on one socket share limits, database and greeting; one may die."""

import asyncio
import os
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex

import httpx
import pytest

from tests.harness.chat import ask, stream
from tests.harness.otlp import Receiver
from tests.harness.process import Process
from tests.harness.redis import Redis
from tests.harness.service import PROGRAM, Service
from tests.harness.waiting import wait
from tests.walk.test_limits import burst, key_of

NOBODY = "redis://127.0.0.1:1"
WRITERS = """SELECT "entityId", writer FROM "AuditEvent" JOIN audit_event USING (id)"""


@pytest.fixture(scope="module")
def redis():
    with Redis() as server:
        yield server


@pytest.fixture
def start(tmp_path_factory):
    """Start a service of two workers."""
    with ExitStack() as started:

        def start(store: str, **settings: str) -> Service:
            settings |= {"AGENT_RATE_LIMIT_STORE": store}
            cwd = tmp_path_factory.mktemp("workers")
            return started.enter_context(Service(cwd, settings, arguments=("--workers", "2")))

        yield start


def workers(service: Service) -> list[int]:
    """The foreman's children, oldest first."""
    children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def degraded(service: Service) -> int:
    return len(service.lines(type="limits_degraded"))


async def warm(service: Service) -> None:
    """Have every worker answer once: the first answer of a process waits for its libraries."""
    key = key_of(service, "CFO", "early")

    async def both() -> bool:
        await burst(service, 8, key)
        rows = service.sql("SELECT DISTINCT writer FROM audit_event WHERE writer IS NOT NULL")
        return len(rows) == 2

    for _ in range(10):
        if await both():
            return
    raise AssertionError(f"one worker answers nobody\n{service.said()}")


def alone(answer: httpx.Response) -> bool:
    """Whether a worker decided without the store."""
    return "ratelimit-degraded" in answer.headers


async def crowd(service: Service) -> tuple[str, list[httpx.Response]]:
    """A new user, and the answers to 60 questions at once, all decided by a store that stood.

    A process that is kept from the processor for 50 ms takes that for the store's silence, and decides alone.
    """
    for _ in range(10):
        wait(lambda: len(service.lines(type="limits_restored")) >= degraded(service), seen=service.said)
        key = key_of(service, "AUDITEE", user := f"crowd-{token_hex(4)}")
        answers = await burst(service, 60, key)
        assert sum(answer.status_code == 200 for answer in answers) < 40  # whatever became of the store
        if not any(map(alone, answers)):
            return user, answers
    pytest.skip("this machine is too busy for a store to stand while 60 ask at once")


async def served(service: Service) -> Counter[str]:
    """How many of 60 at once each worker answered: 20 in all, however the system shares them out."""
    user, answers = await crowd(service)
    assert Counter(answer.status_code for answer in answers) == {200: 20, 429: 40}
    asked = {answer.json()["id"] for answer in answers if answer.status_code == 200}
    service.wait_for_rows(20, actorId=user, outcome="answered")
    return Counter(row["writer"] for row in service.sql(WRITERS) if row["entityId"] in asked)


async def test_of_60_at_once_exactly_20_are_answered_and_each_worker_has_some(start, redis, database_url):
    service = start(redis.url(), DATABASE_URL=database_url)
    await warm(service)
    for _ in range(10):
        by_worker = await served(service)
        assert by_worker.total() == 20
        if len(by_worker) == 2:
            return
    raise AssertionError(f"one worker answers whole crowds\n{service.said()}")


def test_it_greets_once_and_says_when_all_are_ready(start):
    service = start(NOBODY)
    words = [line.partition(":")[0] for line in service.process.stderr]
    assert words == ["Model", "API key", "Console", "Ready"]
    assert len(workers(service)) == 2
    # each worker's line comes by a pipe of its own, maybe after the foreman's word
    wait(lambda: len(service.lines(type="service_started")) == 2, seen=service.said)
    assert {line["pid"] for line in service.lines(type="service_started")} == set(workers(service))
    assert len({line["address"] for line in service.lines(type="service_started")}) == 1


def begun(service: Service, key: str, count: int, open_streams: ExitStack) -> list[str]:
    """So many turns that have begun to answer, and are not over for seconds."""
    answers = [
        open_streams.enter_context(stream(service, "[sim:slow:1000] hello", key=key)) for _ in range(count)
    ]
    return [answer.until("turn").data["id"] for answer in answers]


async def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(start, redis):
    service = start(redis.url())
    await warm(service)
    key = key_of(service, "AUDITEE", "unlucky")
    one, other = workers(service)
    with ExitStack() as open_streams:
        turns = begun(service, key, 6, open_streams)
        os.kill(one, signal.SIGKILL)
        line = service.wait_for_line(type="worker_ended")
        wait(lambda: len(service.lines(type="service_started")) == 3, seen=service.said)
    assert (line["worker"], line["exitCode"], line["replacedInMs"]) == (one, -9, 0)
    assert workers(service)[0] == other
    answers = await burst(service, 40, key)
    admitted = sum(answer.status_code == 200 for answer in answers)
    assert admitted == 14 or (any(map(alone, answers)) and admitted < 34)
    check(service, turns, answers)


def check(service: Service, turns: list[str], answers: list[httpx.Response]) -> None:
    """Every turn that was heard of has its row, every refusal is counted, and the log holds together."""
    answered = {answer.json()["id"] for answer in answers if answer.status_code == 200}
    wait(lambda: {*turns, *answered} <= outcomes(service).keys(), seen=service.said)
    assert {outcomes(service)[turn] for turn in turns} <= {"interrupted", "client_gone"}
    assert service.stop() == 0
    refused = sum(row["count"] for row in service.rows(outcome="refused", actorId="unlucky"))
    assert refused == len(answers) - len(answered)
    assert service.cli("audit", "verify").returncode == 0


def outcomes(service: Service) -> dict[str, str]:
    return {row["entityId"]: row["outcome"] for row in service.rows(actorId="unlucky")}


def test_a_worker_that_does_not_last_is_replaced_ever_later(start):
    service = start(NOBODY)
    for count in range(3):
        wait(lambda count=count: len(service.lines(type="service_started")) == 2 + count, seen=service.said)
        os.kill(workers(service)[-1], signal.SIGKILL)
        wait(lambda count=count: len(service.lines(type="worker_ended")) == 1 + count, seen=service.said)
    assert [line["replacedInMs"] for line in service.lines(type="worker_ended")] == [0, 500, 1000]
    assert ask(service, "Hello").status_code == 200
    assert service.stop() == 0


def ended(receiver: Receiver) -> int:
    """Workers that ended, as all that ever told their own count."""
    told = {}
    for point in receiver.points("parley.workers.ended"):
        told[point.resource["service.instance.id"]] = point.value
    return sum(told.values())


def test_a_worker_that_ends_is_counted_once_by_whoever_lasts(start):
    with Receiver() as receiver:
        service = start(NOBODY, **receiver.settings(), OTEL_METRIC_EXPORT_INTERVAL="3600000")
        wait(lambda: len(service.lines(type="service_started")) == 2, seen=service.said)
        for count in range(3):
            os.kill(workers(service)[-1], signal.SIGKILL)
            wait(
                lambda count=count: len(service.lines(type="service_started")) == 3 + count, seen=service.said
            )
            receiver.wait(lambda count=count: ended(receiver) == 1 + count)
        assert service.stop() == 0
        assert ended(receiver) == 3


def test_a_store_that_is_away_is_shared_by_so_many(start):
    service = start(NOBODY)
    answers = asyncio.run(burst(service, 60))
    admitted = sum(answer.status_code == 200 for answer in answers)
    assert 10 <= admitted <= 20  # each worker admits ten


@pytest.mark.parametrize("whom", [os.kill, os.killpg], ids=["foreman", "all"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_in_order_whoever_else_hears_it(start, whom, number):
    service = start(NOBODY)
    pids = workers(service)
    with stream(service, "[sim:slow:100] hello") as answer:
        answer.until("turn")
        whom(service.pid, number)
        assert [event.event for event in answer.rest()][-1] == "done"
    assert service.process._popen.wait(30) == 0
    wait(lambda: len(service.lines(type="service_stopped")) == 2, seen=service.said)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert service.lines(type="worker_ended") == []
    with pytest.raises(httpx.ConnectError):
        ask(service, "Hello")


def test_a_second_signal_ends_it_at_once(start):
    service = start(NOBODY, AGENT_SHUTDOWN_GRACE_MS="600000")
    with stream(service, "[sim:slow:3000] hello there") as answer:
        answer.until("turn")
        os.kill(service.pid, signal.SIGTERM)
        wait(lambda: len(service.lines(type="service_stopped")) == 1, seen=service.said)
        os.kill(service.pid, signal.SIGTERM)
        assert service.process._popen.wait(30) == 0


def test_workers_end_with_a_foreman_that_is_killed(start):
    service = start(NOBODY)
    pids = workers(service)
    os.kill(service.pid, signal.SIGKILL)
    wait(lambda: not [pid for pid in pids if running(pid)], seen=service.said)
    assert len(service.lines(type="service_stopped")) == 2


def running(pid: int) -> bool:
    """Whether it is there, and more than an entry that nobody has asked for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_hangup_reaches_all_and_those_who_come_later(start):
    service = start(NOBODY)
    lines = ("AGENT_RATE_LIMIT_ROLES=AUDITEE=26", "AGENT_SINKS=nobody")
    (service.cwd / ".env").write_text("\n".join(lines))
    os.kill(service.pid, signal.SIGHUP)
    wait(lambda: len(service.lines(type="settings_changed")) == 2, seen=service.said)
    told = service.lines(type="settings_changed")
    assert {line["pid"] for line in told} == set(workers(service))
    assert {(*line["changed"], *line["needRestart"]) for line in told} == {
        ("AGENT_RATE_LIMIT_ROLES", "AGENT_SINKS")
    }
    for pid in workers(service):
        os.kill(pid, signal.SIGTERM)
    wait(lambda: len(service.lines(type="service_started")) == 4, seen=service.said)
    # each of two has half of it while the store is away
    assert '"role";q=13;w=60' in ask(service, "Hello").headers["ratelimit-policy"]


REFUSED = {
    "a store that is not shared": ({"AGENT_RATE_LIMIT_STORE": "memory://"}, "AGENT_RATE_LIMIT_STORE"),
    "no store": ({}, "AGENT_RATE_LIMIT_STORE"),
    "a sink that is none": ({"AGENT_RATE_LIMIT_STORE": NOBODY, "AGENT_SINKS": "nobody"}, "AGENT_SINKS"),
    "telemetry that is none": ({"AGENT_RATE_LIMIT_STORE": NOBODY, "OTEL_TRACES_EXPORTER": "nope"}, "nope"),
}


@pytest.mark.parametrize(("settings", "named"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_started_is_named_and_nothing_runs(tmp_path, settings, named):
    command = [*PROGRAM, "serve", "--workers", "2"]
    with Process(command, tmp_path, {"AGENT_PORT": "0"} | settings) as process:
        process._popen.wait(30)
    assert process.code == 2, process.said()
    assert named in "\n".join(process.stderr)
    assert not [line for line in process.stderr if "Traceback" in line or line.startswith("Ready")]
    assert sum(line.startswith("parley: ") for line in process.stderr) <= 2


@pytest.mark.parametrize("count", ["0", "65", "two", "-1", "1.0"])
def test_a_number_of_workers_that_is_none_is_refused(tmp_path, count):
    with Process([*PROGRAM, "serve", f"--workers={count}"], tmp_path, {}) as process:
        process._popen.wait(30)
    assert process.code == 2
    assert "1 to 64" in "\n".join(process.stderr)
