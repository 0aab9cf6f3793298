"""How a service ends under load: what open streams, new callers, proxies and rows see of it."""

import asyncio
import json
import os
import signal
import socket
import time
from collections import Counter
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.harness.balancer import Balancer
from tests.harness.chat import ask, stream
from tests.harness.model_api import ModelApi
from tests.harness.plain import END, Caller, model_api
from tests.harness.service import Service
from tests.harness.sse import Parser
from tests.harness.waiting import wait

STREAMS = 200
MANY = {"AGENT_RATE_LIMIT_ROLES": "AUDITEE=1000", "AGENT_RATE_LIMIT_CONCURRENCY": "1000"}


def held_by(url):
    """A model that begins to speak and falls silent."""
    return {"ANTHROPIC_API_KEY": "held", "ANTHROPIC_BASE_URL": url}


async def open_stream(service, opened):
    """A stream that has begun to speak; its reader, and what it said so far."""
    port = int(service.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    opened.callback(writer.close)
    body = json.dumps({"message": "Hello", "stream": True}).encode()
    head = (
        f"POST /api/v1/agent/chat HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {service.api_key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}"
    )
    writer.write(head.encode() + END + body)
    return reader, await reader.readuntil(b"event: text")


async def rest(reader, begun):
    """The events of a stream until its connection ends, by name, and the last one's data."""
    said = begun + await reader.read()
    assert said.startswith(b"HTTP/1.1 200"), said
    body = said.partition(END)[2]
    pieces = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        pieces, body = pieces + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return [*Parser().feed(pieces)]


@pytest.mark.parametrize("signals", [1, 2], ids=["in order", "at once"])
async def test_each_of_200_streams_is_told_of_the_end_and_no_row_is_lost(start_service, capsys, signals):
    grace = 4_000 if signals == 1 else 600_000
    async with AsyncExitStack() as opened:
        url = await opened.enter_async_context(model_api(600.0, speaks=True))
        service = start_service(**MANY, **held_by(url), AGENT_SHUTDOWN_GRACE_MS=str(grace))
        streams = await asyncio.gather(*(open_stream(service, opened) for _ in range(STREAMS)))
        began = time.monotonic()
        for _ in range(signals):
            os.kill(service.pid, signal.SIGTERM)
            await asyncio.sleep(0.2)
        told = await asyncio.gather(*(rest(*each) for each in streams))
        await asyncio.to_thread(service.process._popen.wait, 60)
        seconds = time.monotonic() - began
    with capsys.disabled():
        print(f"\n200 streams, {signals} signal(s), grace {grace} ms: over after {seconds:.2f} s")  # noqa: T201
    assert Counter(events[-1].event for events in told) == {"error": STREAMS}
    assert {events[-1].data["code"] for events in told} == {"shutting_down"}
    service.kill()
    await asyncio.to_thread(service.start)  # what there was no time to write is in the journal
    rows = await asyncio.to_thread(service.wait_for_rows, STREAMS, outcome="shutdown")
    assert {row["entityId"] for row in rows} == {events[0].data["id"] for events in told}
    assert len(rows) == STREAMS


@pytest.fixture
def model():
    with ModelApi() as model:
        yield model


def test_whoever_comes_during_the_stop_is_told_so_and_sent_elsewhere(start_service, model):
    service = start_service(**model.settings, AGENT_SHUTDOWN_GRACE_MS="600000")
    with stream(service, "Hello") as answer, httpx.Client(trust_env=False) as client:
        answer.until("text")
        assert client.get(f"{service.url}/health/ready").status_code == 200
        os.kill(service.pid, signal.SIGTERM)
        wait(lambda: client.get(f"{service.url}/health/ready").status_code == 503)
        ready = client.get(f"{service.url}/health/ready")
        assert (ready.json()["status"], ready.headers["connection"]) == ("not_ready", "close")
        refused = ask(service, "Hello")
        assert (refused.status_code, refused.json()["code"]) == (503, "shutting_down")
        assert refused.headers["connection"] == "close"
        assert int(refused.headers["retry-after"]) >= 1
        os.kill(service.pid, signal.SIGTERM)
        assert answer.rest()[-1].data["code"] == "shutting_down"
    assert service.process._popen.wait(30) == 0
    assert Counter(row["outcome"] for row in service.rows()) == {"shutdown": 1, "refused": 1}


def test_a_delay_is_time_for_proxies_in_which_work_is_still_taken(start_service):
    service = start_service(AGENT_SHUTDOWN_GRACE_MS="600000", AGENT_SHUTDOWN_DELAY_MS="600000")
    with httpx.Client(trust_env=False) as client:
        os.kill(service.pid, signal.SIGTERM)
        wait(lambda: client.get(f"{service.url}/health/ready").status_code == 503)
        answer = ask(service, "Hello")
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        os.kill(service.pid, signal.SIGTERM)
    assert service.process._popen.wait(30) == 0
    assert [row["outcome"] for row in service.rows()] == ["answered"]


def test_a_collector_that_says_nothing_holds_nobody(start_service, model, capsys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        service = start_service(
            **model.settings,
            AGENT_SHUTDOWN_GRACE_MS="500",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}/",
        )
        with stream(service, "Hello") as answer:
            answer.until("text")
            began = time.monotonic()
            assert service.stop() == 0
            seconds = time.monotonic() - began
    assert [row["outcome"] for row in service.rows()] == ["shutdown"]
    with capsys.disabled():
        print(f"\na silent collector, grace 500 ms: over after {seconds:.2f} s")  # noqa: T201


CALLERS, ASKS = 10, 60
ROLLING = {
    "AGENT_SECRET_KEY": "k" * 32,
    "ANTHROPIC_API_KEY": "none",
    "AGENT_RATE_LIMIT_WINDOW_MS": "1000",
    "AGENT_SHUTDOWN_DELAY_MS": "4000",
}
"""The delay is far more than the proxy takes to look, on a busy machine too."""


async def test_servers_behind_a_proxy_are_replaced_one_after_the_other_and_no_request_fails(
    tmp_path, database_url
):
    settings = MANY | ROLLING | {"DATABASE_URL": database_url}
    async with AsyncExitStack() as opened:
        settings["ANTHROPIC_BASE_URL"] = await opened.enter_async_context(model_api(0.05))
        balancer = await opened.enter_async_context(Balancer().running())
        olds = [await join(balancer, tmp_path / f"old-{each}", settings, opened) for each in range(2)]
        key = key_of(olds[0])
        asking = [asyncio.create_task(ask_on(balancer.url, key)) for _ in range(CALLERS)]
        for number, old in enumerate(olds):
            new = await join(balancer, tmp_path / f"new-{number}", settings, opened)
            assert await asyncio.to_thread(old.stop) == 0
            balancer.remove(old.url)
        heard = [each for answers in await asyncio.gather(*asking) for each in answers]
        assert await asyncio.to_thread(new.stop) == 0
    assert Counter(each.status for each in heard) == {200: CALLERS * ASKS}, balancer.again
    assert not balancer.again
    assert {row["entityId"] for row in new.rows()} >= {json.loads(each.body)["id"] for each in heard}


async def join(balancer, cwd, settings, opened):
    """One more server, ready in the proxy's eyes."""
    service = await started(cwd, settings, opened)
    balancer.add(service.url)
    await until(lambda: balancer.ready(service.url))
    return service


async def started(cwd, settings, opened):
    """A service that runs, started while others are asked."""
    cwd.mkdir()
    service = Service(cwd, settings)
    opened.callback(service.kill)
    await asyncio.to_thread(service.start)
    return service


async def until(true):
    while not true():  # noqa: ASYNC110 - set by the proxy's own task
        await asyncio.sleep(0.01)


def key_of(service):
    made = service.cli("keys", "create", "--user", "ann", "--role", "AUDITEE", "--json")
    return json.loads(made.stdout)["key"]


async def ask_on(url, key):
    """One question after the other, over one connection."""
    caller = Caller(url)
    try:
        return [await caller.ask(key, "Hello") for _ in range(ASKS) if await asyncio.sleep(0.2) is None]
    finally:
        caller.close()
