"""What is a request and what is none: nothing that two servers could read differently is answered."""

import json

import pytest

from tests.service.server.test_connection import GET, echo, heedless, reply

HOST = b"host: here\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n"


def get(headers=b"", line=b"GET / HTTP/1.1\r\n"):
    return line + HOST + headers + b"\r\n"


def post(headers, body=b"abc"):
    return b"POST / HTTP/1.1\r\n" + HOST + headers + b"\r\n" + body


REFUSED = {
    "two lengths": post(b"content-length: 3\r\ncontent-length: 4\r\n"),
    "the same length twice": post(b"content-length: 3\r\ncontent-length: 3\r\n"),
    "a list of lengths": post(b"content-length: 3, 3\r\n"),
    "a length with a sign": post(b"content-length: +3\r\n"),
    "a length that is none": post(b"content-length: 3x\r\n"),
    "a length beyond numbers": post(b"content-length: 99999999999999999999\r\n"),
    "a length and chunks": post(b"content-length: 3\r\ntransfer-encoding: chunked\r\n"),
    "chunks and a length": post(b"transfer-encoding: chunked\r\ncontent-length: 3\r\n"),
    "another coding": post(b"transfer-encoding: gzip, chunked\r\n"),
    "a coding nobody knows": post(b"transfer-encoding: xchunked\r\n"),
    "two codings": post(b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n"),
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded header": get(b"x: a\r\n b\r\n"),
    "a bare CR": get(b"x: a\rb: c\r\n"),
    "a bare LF": get(b"x: a\nb: c\r\n"),
    "bare LFs only": b"GET / HTTP/1.1\nhost: here\n\n",
    "NUL in a value": get(b"x: a\0b\r\n"),
    "a control character": get(b"x: a\x0bb\r\n"),
    "a name with a space": get(b"x : a\r\n"),
    "a name of other letters": get(b"x\xe9: a\r\n"),
    "a name with a bracket": get(b"x(y: a\r\n"),
    "no name": get(b": a\r\n"),
    "a header before the first": b"GET / HTTP/1.1\r\n x: a\r\n" + HOST + b"\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": get(HOST),
    "two hosts in HTTP/1.0": get(HOST, b"GET / HTTP/1.0\r\n"),
    "HTTP/2": get(line=b"GET / HTTP/2.0\r\n"),
    "HTTP/1.2": get(line=b"GET / HTTP/1.2\r\n"),
    "HTTP/0.9": get(line=b"GET / HTTP/0.9\r\n"),
    "a preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "other letters in a target": get(line=b"GET /\xff HTTP/1.1\r\n"),
    "a control character in a target": get(line=b"GET /\x01 HTTP/1.1\r\n"),
    "a tab before a target": get(line=b"GET\t/ HTTP/1.1\r\n"),
    "an empty line": b"\r\n" + GET,
    "a target without end": get(line=b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\n"),
    "headers without end": get(b"a: b\r\n" * 3_300),
}


@pytest.mark.parametrize("said", REFUSED.values(), ids=REFUSED)
async def test_what_could_be_read_in_two_ways_is_not_read(serve, said):
    asked = []

    async def app(scope, receive, send):
        asked.append(scope)
        await echo(scope, receive, send)

    there = await serve(app)
    wire = await there.connect()
    await wire.send(said)
    status, headers, body = await wire.answer()
    assert (status, json.loads(body)["code"], headers["connection"]) == (400, "invalid_request", "close")
    assert await wire.closed() == b""
    assert asked == []


@pytest.mark.parametrize("at", [16, 31])
async def test_a_head_that_goes_on_and_on_is_refused(serve, at):
    there = await serve(echo)
    wire = await there.connect()
    await wire.send(GET[:at].rstrip(b"\r\n") + b"\r\nx: a")
    await wire.send(*[b"a" * 1_000] * 17, pause=0.001)
    assert (await wire.answer())[0] == 400


BROKEN = {
    "a chunk after a bare LF": b"3\nabc\r\n0\r\n\r\n",
    "a chunk of no number": b"xyz\r\n",
    "a chunk of less than nothing": b"-3\r\nabc\r\n0\r\n\r\n",
    "a chunk beyond numbers": b"fffffffffffffffff\r\nabc",
    "a chunk that is longer": b"3\r\nabcd\r\n0\r\n\r\n",
    "a blank behind a number": b"3 \r\nabc\r\n0\r\n\r\n",
    "trailers without end": b"3\r\nabc\r\n0\r\n" + b"x: y\r\n" * 3_300 + b"\r\n",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
async def test_a_body_that_cannot_be_read_is_not_answered(serve, body):
    there = await serve(echo)
    wire = await there.connect()
    await wire.send(CHUNKED + body)
    assert await wire.closed() == b""


async def test_trailers_are_no_headers(serve):
    seen = []

    async def app(scope, receive, send):
        await echo(scope, receive, send)
        seen.extend(scope["headers"])

    there = await serve(app)
    wire = await there.connect()
    await wire.send(CHUNKED + b"3;a=b\r\nabc\r\n0\r\nauthorization: Bearer x\r\n\r\n")
    assert (await wire.answer())[2] == b"3 False"
    await wire.send(GET)
    assert (await wire.answer())[0] == 200
    assert seen == [(b"host", b"here"), (b"transfer-encoding", b"chunked"), (b"host", b"here")]


async def test_blanks_around_a_value_are_not_part_of_it(serve):
    async def app(scope, receive, send):
        del receive
        await reply(send, dict(scope["headers"])[b"x"])

    there = await serve(app)
    wire = await there.connect()
    await wire.send(get(b"X: \t a b \t\r\n"))
    assert (await wire.answer())[2] == b"a b"


UPGRADES = {
    "a body": (b"content-length: 3\r\n", b"abc", b"3 False"),
    "chunks": (b"transfer-encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n", b"3 False"),
    "nothing": (b"", b"", b"0 False"),
}


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(("headers", "body", "told"), UPGRADES.values(), ids=UPGRADES)
async def test_who_would_rather_speak_otherwise_is_answered_and_its_body_is_no_request(
    serve, headers, body, told, apart
):
    there = await serve(echo)
    wire = await there.connect()
    head = post(b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\n" + headers, b"")
    await wire.send(*([head, body] if apart else [head + body]), pause=0.01)
    assert (await wire.answer())[2] == told
    await wire.send(GET)
    assert (await wire.answer())[2] == b"0 False"


async def test_what_follows_connect_is_no_request(serve):
    there = await serve(heedless)
    wire = await there.connect()
    await wire.send(b"CONNECT here:1 HTTP/1.1\r\n" + HOST + b"\r\n" + GET)
    _, headers, body = await wire.answer()
    assert (headers["connection"], body) == ("close", b"no")
    assert await wire.closed() == b""
