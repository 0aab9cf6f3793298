import asyncio
import socket
import threading

import pytest

from service.errors import ToolFailed
from service.tools.fetch.resolver import Resolver, look_up


async def test_every_address_is_given_once():
    resolve = Resolver(lambda _host, _port: ["93.184.216.34", "2606:4700::1"])
    assert list(map(str, await resolve("example.com", 80))) == ["93.184.216.34", "2606:4700::1"]


async def test_a_host_that_is_not_there_has_none():
    def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(host, port)

    assert await Resolver(nowhere)("example.com", 80) == ()


async def test_lookups_that_hang_end_in_time_and_do_not_pile_up():
    held, loop_runs = threading.Event(), 0

    def hang(_host: str, _port: int) -> list[str]:
        held.wait(30)
        return ["93.184.216.34"]

    resolve = Resolver(hang, seconds=0.05, most=2)
    for _ in range(2):
        with pytest.raises(ToolFailed, match="Nobody said in time"):
            await resolve("example.com", 80)
    with pytest.raises(ToolFailed, match="Too many names"):
        await resolve("example.com", 80)
    held.set()
    while True:
        loop_runs += 1
        try:
            assert await resolve("example.com", 80)
            break
        except ToolFailed:
            await asyncio.sleep(0.01)


def test_a_name_is_looked_up_as_it_is(monkeypatch):
    asked: list[str] = []

    def answer(host: str, port: int, **_further: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(0, 0, 0, "", ("93.184.216.34", port))] * 2

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert look_up("example.com", 80) == ("93.184.216.34",)
    assert look_up("1.1.1.1", 80)
    assert asked == ["example.com.", "1.1.1.1"]
