"""Answers as they leave: in the order of their requests, as long as they say, and none that ends its head."""

import asyncio
import json

import pytest

from service.server.connection import MOST_WAITING
from tests.service.server.test_connection import GET, HEAD, echo, reply

PAGES = b"GET /%d HTTP/1.1\r\nhost: here\r\n\r\n"


async def paged(scope, receive, send):
    del receive
    await asyncio.sleep(0.002 if scope["path"] == "/0" else 0)
    await reply(send, scope["path"].encode())


def answering(*headers, bodies=(b"abc",), status=200):
    async def app(scope, receive, send):
        del scope, receive
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for body in bodies:
            await send({"type": "http.response.body", "body": body, "more_body": body is not bodies[-1]})

    return app


async def said(serve, app, request=GET):
    """All that is said to one request by a connection that ends then."""
    there = await serve(app)
    wire = await there.connect()
    await wire.send(request.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
    return await wire.closed()


async def test_requests_that_come_at_once_are_answered_in_their_order(serve):
    there = await serve(paged)
    wire = await there.connect()
    await wire.send(b"".join(PAGES % number for number in range(5)))
    assert [(await wire.answer())[2] for _ in range(5)] == [b"/%d" % number for number in range(5)]
    await wire.send(PAGES % 5)
    assert (await wire.answer())[2] == b"/5"


async def test_those_that_are_too_many_are_not_heard(serve):
    there = await serve(paged)
    wire = await there.connect()
    await wire.send(b"".join(PAGES % number for number in range(100)))
    answers = [await wire.answer() for _ in range(MOST_WAITING + 1)]
    assert [body for _, _, body in answers] == [b"/%d" % number for number in range(MOST_WAITING + 1)]
    assert [headers.get("connection") for _, headers, _ in answers[-2:]] == [None, "close"]
    assert await wire.closed() == b""


async def test_nonsense_behind_a_request_is_refused_after_its_answer(serve):
    there = await serve(paged)
    wire = await there.connect()
    await wire.send(PAGES % 0 + b"nonsense\r\n\r\n")
    assert (await wire.answer())[2] == b"/0"
    status, _, body = await wire.answer()
    assert (status, json.loads(body)["code"]) == (400, "invalid_request")
    assert await wire.closed() == b""


async def test_what_follows_a_request_that_ends_the_connection_is_not_heard(serve):
    assert (await said(serve, paged, PAGES % 1 + PAGES % 2)).count(b"HTTP/1.1 200") == 1


async def test_a_whole_answer_leaves_in_one_piece(serve):
    there = await serve(paged)
    wire = await there.connect()
    await wire.send(PAGES % 1)
    assert (await wire.reader.read(65536)).endswith(b"\r\n\r\n/1")


async def test_an_answer_of_unknown_length_is_in_chunks(serve):
    whole = await said(serve, answering(bodies=(b"abc", b"", b"defg")))
    head, _, body = whole.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"


async def test_but_not_for_who_does_not_know_chunks(serve):
    there = await serve(answering(bodies=(b"abc", b"defg")))
    wire = await there.connect()
    await wire.send(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
    head, _, body = (await wire.closed()).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert (b"connection: close" in head, body) == (True, b"abcdefg")


@pytest.mark.parametrize("length", [(), ((b"content-length", b"3"),)], ids=["unknown", "known"])
async def test_head_has_no_body(serve, length):
    whole = await said(serve, answering(*length), GET.replace(b"GET", b"HEAD"))
    assert whole.endswith(b"\r\n\r\n")
    assert (b"content-length: 3" in whole) is bool(length)


async def test_nor_has_an_answer_without_content(serve):
    whole = await said(serve, answering(bodies=(b"",), status=204))
    assert whole.endswith(b"\r\n\r\n")
    assert b"transfer-encoding" not in whole


WRONG = {
    "a line break": (b"x", b"a\r\nset-cookie: b"),
    "half of one": (b"x", b"a\nb"),
    "the other half": (b"x", b"a\rb"),
    "NUL": (b"x", b"a\0b"),
}


@pytest.mark.parametrize("header", WRONG.values(), ids=WRONG)
async def test_a_header_that_would_be_two_is_none(serve, header, caplog):
    whole = await said(serve, answering(header))
    assert b"set-cookie" not in whole
    assert whole == b"" or whole.startswith(b"HTTP/1.1 500")
    assert "would end it early" in caplog.text


@pytest.mark.parametrize("bodies", [(b"abcd",), (b"ab", b"cd"), (b"ab",)])
async def test_an_answer_is_as_long_as_it_says_or_cut_off(serve, bodies, caplog):
    whole = await said(serve, answering((b"content-length", b"3"), bodies=bodies))
    assert b"abcd" not in whole
    assert "than it says" in caplog.text


async def test_an_application_that_fails_is_a_500_and_a_line(serve, caplog):
    async def app(scope, receive, send):
        del scope, receive, send
        raise KeyError("secret")

    whole = await said(serve, app)
    assert whole.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in whole
    assert "Exception in ASGI application" in caplog.text


async def test_who_waits_for_a_word_before_the_body_gets_it(serve):
    there = await serve(echo)
    wire = await there.connect()
    await wire.send(HEAD + b"expect: 100-continue\r\n\r\n")
    assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await wire.send(b"1234567890")
    status, headers, body = await wire.answer()
    assert (status, body, "connection" in headers) == (200, b"10 False", False)
