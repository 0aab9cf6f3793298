"""An issuer's published keys: fetched when needed, kept when they cannot be, never at a caller's whim."""

import asyncio
import logging

import pytest

from service.auth.outside import MOST_BYTES, fetch
from service.auth.published import FIRST_PAUSE, FRESH, KEPT, PAUSE, PublishedKeys
from service.auth.trust import _load
from service.errors import UpstreamUnreachable
from tests.harness.clock import Clock
from tests.service.auth.jwks import KeyServer
from tests.service.auth.mint import Mint

OLD, NEW = Mint("ES256", "old"), Mint("ES256", "new")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    with KeyServer(OLD) as server:
        yield server


@pytest.fixture
def keys(server, clock):
    return PublishedKeys(lambda: _load(server.url, "ES256"), clock)


async def idle(keys):
    """Wait for the fetch that runs."""
    if keys._fetching:
        await asyncio.wait((keys._fetching,))


async def begun(server):
    """Wait until the server is asked, with the loop going on."""
    while not server.asked:  # noqa: ASYNC110 - it is asked on a thread of its own
        await asyncio.sleep(0.01)


async def test_many_first_callers_are_one_fetch(keys, server):
    found = await asyncio.gather(*(keys.find("old") for _ in range(50)))
    assert found == [OLD.public] * 50
    assert len(server.asked) == 1


async def test_a_set_is_used_for_five_minutes_and_then_looked_at_behind_the_callers_back(keys, server, clock):
    await keys.find("old")
    clock.now += FRESH - 0.1
    assert await keys.find("old") == OLD.public
    assert len(server.asked) == 1
    server.publish(NEW)
    clock.now += 0.1
    server.gate.clear()
    assert await keys.find("old") == OLD.public  # at once, though the answer has not come
    server.gate.set()
    await idle(keys)
    assert len(server.asked) == 2
    assert await keys.find("new") == NEW.public
    assert await keys.find("old") is None
    assert len(server.asked) == 2


async def test_an_unknown_id_asks_again_and_at_most_every_ten_seconds(keys, server, clock):
    await keys.find("old")
    for _ in range(20):
        assert await keys.find("nobody's") is None
    assert len(server.asked) == 1
    clock.now += PAUSE
    for _ in range(20):
        assert await keys.find("nobody's") is None
    assert len(server.asked) == 2
    server.publish(OLD, NEW)
    clock.now += PAUSE - 0.1
    assert await keys.find("new") is None
    clock.now += 0.1
    assert await asyncio.gather(*(keys.find("new") for _ in range(20))) == [NEW.public] * 20
    assert await keys.find("old") == OLD.public
    assert len(server.asked) == 3


async def test_the_last_good_set_outlives_a_server_that_fails(keys, server, clock, caplog):
    caplog.set_level(logging.WARNING, logger="parley")
    await keys.find("old")
    server.status = 500
    for _ in range(30):
        clock.now += FRESH
        assert await keys.find("old") == OLD.public
        await idle(keys)
    assert len(server.asked) == 31
    assert {record.message for record in caplog.records} == {"signing_keys_unfetched"}
    clock.now = 1_000.0 + KEPT - 0.1
    assert await keys.find("old") == OLD.public
    await idle(keys)
    clock.now += FIRST_PAUSE
    with pytest.raises(UpstreamUnreachable) as raised:
        await keys.find("old")
    assert raised.value.retry_after_ms == 1_000
    server.publish(OLD)
    clock.now += FIRST_PAUSE
    assert await keys.find("old") == OLD.public


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"x" * (MOST_BYTES + 1)])
async def test_an_answer_that_is_no_set_changes_nothing(keys, server, clock, body):
    await keys.find("old")
    server.body = body
    clock.now += FRESH
    await keys.find("old")
    await idle(keys)
    assert len(server.asked) == 2
    assert await keys.find("old") == OLD.public


async def test_an_issuer_may_take_all_its_keys_back(keys, server, clock):
    await keys.find("old")
    server.publish()
    clock.now += FRESH
    await keys.find("old")
    await idle(keys)
    assert await keys.find("old") is None


async def test_without_any_set_the_server_is_asked_once_a_second(keys, server, clock):
    server.status = 503
    for _ in range(10):
        with pytest.raises(UpstreamUnreachable):
            await keys.find("old")
    assert len(server.asked) == 1
    clock.now += FIRST_PAUSE
    server.publish(OLD)
    assert await keys.find("old") == OLD.public


async def test_nobody_listening_is_told_as_such(clock):
    with KeyServer() as gone:
        url = gone.url
    with pytest.raises(UpstreamUnreachable):
        await PublishedKeys(lambda: _load(url, "ES256"), clock).find("old")


async def test_without_an_id_only_the_only_key_is_meant(keys, server, clock):
    assert await keys.find(None) == OLD.public
    server.publish(OLD, NEW)
    clock.now += PAUSE
    assert await keys.find("new") == NEW.public
    assert await keys.find(None) is None


async def test_keys_that_have_no_id_are_not_found_by_one(server, clock):
    nameless = Mint("ES256")
    server.publish(nameless)
    keys = PublishedKeys(lambda: _load(server.url, "ES256"), clock)
    assert await keys.find(None) == nameless.public
    assert await keys.find("any") is None


async def test_the_loop_goes_on_while_the_keys_come(keys, server):
    server.gate.clear()
    asking = asyncio.create_task(keys.find("old"))
    await begun(server)
    for _ in range(5):
        await asyncio.sleep(0.01)
    assert not asking.done()
    server.gate.set()
    assert await asking == OLD.public


async def test_a_caller_who_leaves_does_not_end_the_fetch_of_others(keys, server):
    server.gate.clear()
    first, second = (asyncio.create_task(keys.find("old")) for _ in range(2))
    await begun(server)
    first.cancel()
    server.gate.set()
    assert await second == OLD.public
    assert len(server.asked) == 1


def test_a_redirect_is_not_followed(server):
    with KeyServer(NEW) as elsewhere:
        server.status, server.headers = 302, {"Location": elsewhere.url}
        with pytest.raises(OSError, match="302"):
            fetch(server.url)
        assert elsewhere.asked == []


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x"])
def test_a_redirect_elsewhere_is_not_followed_either(server, url):
    server.status, server.headers = 302, {"Location": url}
    with pytest.raises(OSError, match="302"):
        fetch(server.url)


def test_credentials_of_the_address_are_sent_as_http_has_it(server):
    fetch(server.url.replace("http://", "http://me:p%40ss@"))
    assert server.asked[0]["Authorization"] == "Basic bWU6cEBzcw=="
    assert "@" not in server.asked[0]["Host"]


def test_a_fetch_reads_so_much_and_no_more(server):
    server.body = b"x" * MOST_BYTES
    assert fetch(server.url) == server.body
    server.body += b"x"
    with pytest.raises(ValueError, match="too large"):
        fetch(server.url)
