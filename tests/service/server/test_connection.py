"""Slow senders, too many connections, no HTTP: what a connection is closed for, and what it is told."""

import asyncio
import json
import socket

import pytest

from service.agent.upstream.scripted import ScriptedModel, say
from service.web.threshold import CROWDED
from telemetry.failure import Code
from tests.service.server.conftest import SOON
from tests.service.web.conftest import ROUTE

GET = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n"


async def echo(scope, receive, send):
    """Read the whole body and say how long it was, and whether there are too many connections."""
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    await reply(send, f"{length} {CROWDED in scope}".encode())


async def heedless(scope, receive, send):
    """Answer without reading."""
    del scope, receive
    await reply(send, b"no")


async def reply(send, body):
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


SLOW_HEADS = {
    "says nothing": (),
    "says half of a head": (HEAD,),
    "drips": [HEAD[at : at + 1] for at in range(20)],
}


@pytest.mark.parametrize("pieces", SLOW_HEADS.values(), ids=SLOW_HEADS)
async def test_a_head_that_does_not_come_closes_the_connection(serve, pieces):
    there = await serve(echo, head=SOON)
    wire = await there.connect()
    sending = asyncio.create_task(wire.send(*pieces, pause=SOON / 4))
    assert await wire.closed() == b""
    await asyncio.wait((sending,))
    sending.exception()


@pytest.mark.parametrize("pieces", SLOW_HEADS.values(), ids=SLOW_HEADS)
async def test_nor_does_the_next_one_have_longer(serve, pieces):
    there = await serve(echo, head=SOON * 4, idle=SOON * 4)
    wire = await there.connect()
    await wire.send(GET)
    assert (await wire.answer())[0] == 200
    sending = asyncio.create_task(wire.send(*pieces, pause=SOON))
    assert await wire.closed() == b""
    await asyncio.wait((sending,))
    sending.exception()


async def test_a_connection_between_requests_is_kept_and_used_again(serve):
    there = await serve(echo, head=SOON)
    wire = await there.connect()
    for _ in range(3):
        await wire.send(GET)
        assert (await wire.answer())[2] == b"0 False"
        await asyncio.sleep(SOON * 2)
    assert len(there.connections) == len(there.hall.idle) == 1


async def test_an_answer_may_take_longer_than_any_deadline(serve):
    async def slow(scope, receive, send):
        await asyncio.sleep(SOON * 4)
        await echo(scope, receive, send)

    there = await serve(slow, head=SOON, body=SOON * 2, linger=SOON)
    wire = await there.connect()
    await wire.send(GET)
    assert (await wire.answer())[0] == 200


async def test_a_body_in_pieces_is_whole(serve):
    there = await serve(echo, head=SOON)
    wire = await there.connect()
    await wire.send(HEAD + b"\r\n12345", b"67", b"890", pause=SOON)
    assert (await wire.answer())[2] == b"10 False"
    await wire.send(GET)
    assert (await wire.answer())[0] == 200


async def test_the_rest_of_a_body_that_was_answered_is_waited_for(serve):
    there = await serve(heedless, head=SOON)
    wire = await there.connect()
    await wire.send(HEAD + b"\r\n1234")
    assert (await wire.answer())[2] == b"no"
    await wire.send(b"567890")
    await wire.send(HEAD + b"\r\n1234567890")
    assert (await wire.answer())[2] == b"no"


async def test_but_not_for_long(serve):
    there = await serve(heedless, linger=SOON)
    wire = await there.connect()
    await wire.send(HEAD + b"\r\n1234")
    assert (await wire.answer())[2] == b"no"
    assert await wire.closed() == b""


async def test_an_application_that_does_not_read_does_not_hold_a_slow_body(serve):
    never = asyncio.Event()

    async def deaf(scope, receive, send):
        del scope, receive, send
        await never.wait()

    there = await serve(deaf, body=SOON - 1)
    wire = await there.connect()
    await wire.send(HEAD + b"\r\n1234")
    assert await wire.closed() == b""
    never.set()


async def test_whoever_waits_for_a_word_before_the_body_is_closed_after_another(serve):
    there = await serve(heedless)
    wire = await there.connect()
    await wire.send(HEAD + b"expect: 100-continue\r\n\r\n")
    status, headers, _ = await wire.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert await wire.closed() == b""


async def test_a_slow_body_is_a_turn_that_is_refused(serve, web):
    app = await web(ScriptedModel(say("hi")))
    there = await serve(app.client._transport.app, body=SOON)
    wire = await there.connect()
    head = (
        f"POST {ROUTE} HTTP/1.1\r\nhost: parley\r\nauthorization: Bearer {app.key}\r\n"
        "content-type: application/json\r\ncontent-length: 30\r\n\r\n{"
    )
    await wire.send(head.encode())
    status, headers, body = await wire.answer()
    told = json.loads(body)
    assert (status, told["code"], told["category"], told["retryable"]) == (
        408,
        "request_timeout",
        "validation",
        True,
    )
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert headers["x-request-id"] == told["requestId"]
    assert await wire.closed() == b""
    (record,) = app.records
    assert record.failure.code is Code.REQUEST_TIMEOUT
    assert record.opening.turn_id == told["requestId"]


async def test_one_more_than_may_be_takes_the_place_of_one_that_idles(serve):
    there = await serve(echo, 2)
    first, second = await there.connect(), await there.connect()
    for wire in (first, second, first):
        await wire.send(GET)
        assert (await wire.answer())[0] == 200
    third = await there.connect()
    assert await second.closed() == b""
    for wire in (third, first):
        await wire.send(GET)
        assert (await wire.answer())[2] == b"0 False"


async def test_where_none_idles_one_more_is_told_that_there_are_too_many(serve):
    there = await serve(echo, 1)
    busy = await there.connect()
    await busy.send(HEAD)
    one_more = await there.connect()
    await one_more.send(GET)
    _, headers, body = await one_more.answer()
    assert (body, headers["connection"]) == (b"0 True", "close")
    assert await one_more.closed() == b""
    await busy.send(b"\r\n1234567890")
    assert (await busy.answer())[2] == b"10 False"


async def test_far_more_are_closed_without_a_word(serve, monkeypatch):
    monkeypatch.setattr("service.server.connection.SPARE", 1)
    there = await serve(echo, 1)
    wires = [await there.connect() for _ in range(4)]
    for wire in wires[2:]:
        assert await wire.closed() == b""
    assert len(there.connections) == 2
    await wires[0].send(GET)
    assert (await wires[0].answer())[2] == b"0 False"


async def test_answers_of_a_service_that_ends_say_that_the_connection_does(serve):
    there = await serve(echo, closing=lambda: True)
    wire = await there.connect()
    await wire.send(GET)
    assert (await wire.answer())[1]["connection"] == "close"
    assert await wire.closed() == b""


NO_HTTP = {
    "nonsense": b"\x16\x03\x01 nonsense\r\n\r\n",
    "an empty line": b"\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a head that is too large": b"GET / HTTP/1.1\r\nx: " + b"a" * 100_000 + b"\r\n\r\n",
    "two lengths": HEAD + b"content-length: 11\r\n\r\n",
}


@pytest.mark.parametrize("said", NO_HTTP.values(), ids=NO_HTTP)
async def test_what_is_no_http_is_a_problem_of_the_contracts_form(serve, said):
    there = await serve(echo)
    wire = await there.connect()
    await wire.send(said)
    status, headers, body = await wire.answer()
    told = json.loads(body)
    assert (status, told["code"], told["status"]) == (400, "invalid_request", 400)
    assert headers["content-type"] == "application/problem+json"
    assert (headers["connection"], headers["cache-control"]) == ("close", "no-store")
    assert (headers["x-request-id"], headers["x-trace-id"]) == (told["requestId"], told["traceId"])
    assert len(told["traceId"]) == 32
    assert await wire.closed() == b""


async def test_nonsense_in_the_middle_of_a_request_closes_the_connection(serve):
    there = await serve(echo)
    wire = await there.connect()
    await wire.send(b"POST / HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n")
    assert b"200" not in await wire.closed()


async def test_nothing_is_left_of_connections_that_are_gone(serve):
    there = await serve(echo)
    wires = [await there.connect() for _ in range(5)]
    for wire in wires:
        await wire.send(GET)
        assert (await wire.answer())[0] == 200
        wire.writer.close()
    while there.connections:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.001)
    assert not there.hall.idle


async def test_an_answers_body_does_not_wait_for_its_head_to_be_acknowledged(serve):
    there = await serve(echo)
    wire = await there.connect()
    await wire.send(GET)
    assert (await wire.answer())[0] == 200
    (connection,) = there.connections
    taken = connection.transport.get_extra_info("socket")
    assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
