"""Our own connections to the model's API: used again where that is safe; errors are httpx's."""

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress

import httpx2
import pytest

from service.agent.upstream import connection
from service.agent.upstream.connections import DirectTransport, proxied
from tests.stack.real.papers import papers

LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\nhello"
CLOSES = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello"


class Scripted:
    """Answers each request by the same bytes; `came` are connections, `asked` the requests' heads."""

    def __init__(self, answer, *, closing=False, pause=0.0):
        self.answer, self.closing, self.pause = answer, closing, pause
        self.came, self.asked, self.left = 0, [], asyncio.Event()
        self.tasks = set()

    async def __call__(self, reader, writer):
        self.came += 1
        self.tasks.add(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.asked.append(head)
                await asyncio.sleep(self.pause)
                writer.write(self.answer)
                await writer.drain()
                if self.closing:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def running(server, tls=None):
    listening = await asyncio.start_server(server, "127.0.0.1", 0, ssl=tls)
    transport, scheme = DirectTransport(), "https" if tls else "http"
    try:
        yield transport, f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1/messages"
    finally:
        await transport.aclose()
        listening.close()
        await asyncio.gather(*server.tasks)


async def ask(transport, url, body=b""):
    request = httpx2.Request("POST", url, content=body, extensions={"timeout": {"connect": 2.0}})
    response = await transport.handle_async_request(request)
    try:
        return response.status_code, await response.aread()
    finally:
        await response.aclose()


@pytest.mark.parametrize(
    "answer", [LENGTH, CHUNKED, EARLY + LENGTH], ids=["length", "chunked", "early hints"]
)
async def test_a_connection_is_used_again(answer):
    server = Scripted(answer)
    async with running(server) as (transport, url):
        assert [await ask(transport, url) for _ in range(3)] == [(200, b"hello")] * 3
    assert (server.came, len(server.asked)) == (1, 3)


@pytest.mark.parametrize(
    ("answer", "closing"),
    [(UNTIL_CLOSED, True), (CLOSES, True), (CLOSES, False)],
    ids=["end", "closes", "says so"],
)
async def test_one_that_ends_is_not(answer, closing):
    server = Scripted(answer, closing=closing)
    async with running(server) as (transport, url):
        assert [await ask(transport, url) for _ in range(2)] == [(200, b"hello")] * 2
    assert server.came == 2


async def test_nor_one_that_idled_for_long(monkeypatch):
    monkeypatch.setattr(connection, "KEPT_SECONDS", 0.0)
    server = Scripted(LENGTH)
    async with running(server) as (transport, url):
        for _ in range(2):
            await ask(transport, url)
    assert server.came == 2


async def test_nor_one_whose_answer_goes_on():
    server = Scripted(LENGTH + b"more")
    async with running(server) as (transport, url):
        for _ in range(2):
            await ask(transport, url)
    assert server.came == 2


async def test_callers_at_once_have_one_each():
    server = Scripted(LENGTH, pause=0.05)
    async with running(server) as (transport, url):
        await asyncio.gather(*(ask(transport, url) for _ in range(8)))
    assert server.came == 8


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello",
        b"SMTP ready\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"",
    ],
    ids=["short", "no HTTP", "half a head", "nothing"],
)
async def test_what_breaks_off_is_an_error_of_the_transport(answer):
    async with running(Scripted(answer, closing=True)) as (transport, url):
        with pytest.raises(httpx2.TransportError):
            await ask(transport, url)


async def test_nobody_listens_there():
    with pytest.raises(httpx2.ConnectError):
        await ask(DirectTransport(), "http://127.0.0.1:1/")


async def test_closing_before_the_end_closes_the_connection():
    server = Scripted(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n")
    async with running(server) as (transport, url):
        response = await transport.handle_async_request(httpx2.Request("POST", url))
        await response.aclose()
        await server.left.wait()


async def test_what_nobody_reads_is_not_read_ahead_without_bound():
    piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    server = Scripted(CHUNKED[: CHUNKED.index(b"3\r\n")] + piece * 200 + b"0\r\n\r\n")
    async with running(server) as (transport, url):
        response = await transport.handle_async_request(httpx2.Request("POST", url))
        await asyncio.sleep(0.2)
        held = response.stream._connection
        assert sum(map(len, held._pieces)) < 4 * connection.AHEAD
        assert len(await response.aread()) == 200 * 65_536
        await response.aclose()


async def test_a_connection_whose_answer_was_left_unread_is_not_used_again(monkeypatch):
    monkeypatch.setattr(connection, "AHEAD", 4)
    server = Scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n" + b"x" * 2_000)
    async with running(server) as (transport, url):
        response = await transport.handle_async_request(httpx2.Request("POST", url))
        held = response.stream._connection
        while not (held.whole and held._paused):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        await response.aclose()
        assert await asyncio.wait_for(ask(transport, url), 30) == (200, b"x" * 2_000)
        assert server.came == 2


@pytest.mark.parametrize(
    ("variable", "answer"), [("http_proxy", True), ("ALL_PROXY", True), ("https_proxy", False), ("X", False)]
)
def test_a_proxy_is_seen(monkeypatch, variable, answer):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert proxied("http://api.example/v1") is answer


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "unknown"])
async def test_whom_no_authority_vouches_for_by_that_name_is_told_nothing(
    tmp_path, monkeypatch, trusted, host
):
    made = papers(tmp_path, "")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.certificate, made.key)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    server = Scripted(LENGTH)
    async with running(server, tls) as (transport, url):
        asked = ask(transport, url.replace("127.0.0.1", host))  # the certificate is for the number
        if trusted and host == "127.0.0.1":
            assert await asked == (200, b"hello")
        else:
            with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await asked
            assert server.asked == []
