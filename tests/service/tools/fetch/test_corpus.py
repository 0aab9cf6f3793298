"""Hundreds of ways to ask for what is not public: nobody is connected to, a listener on loopback agrees."""

import pytest

from service.tools.fetch.policy import Policy
from tests.service.tools.fetch import corpus
from tests.service.tools.fetch.web import PUBLIC, Dialled, Names, fetcher, redirect, refusal, serving

URLS = corpus.urls()


def test_the_corpus_is_large():
    assert len(set(URLS)) == len(URLS) >= 200


@pytest.fixture
async def listener():
    async with serving() as server:
        yield server


@pytest.mark.parametrize("url", URLS, ids=[f"{number:03d}" for number in range(len(URLS))])
async def test_none_is_fetched(listener, url):
    dialled, names = Dialled(), Names()
    one = fetcher(names, dialled, (80, 443, listener.port))
    assert await refusal(one, url.replace("{port}", str(listener.port)))
    assert (dialled.to, listener.connections) == ([], 0)


@pytest.mark.parametrize("url", URLS, ids=[f"{number:03d}" for number in range(len(URLS))])
async def test_no_redirect_leads_there(listener, url):
    """From a public page; what is no address of another host at all may lead to a page of the same one."""
    listener.pages["/start"] = redirect(url.replace("{port}", str(listener.port)))
    dialled = Dialled({PUBLIC: listener.port})
    one = fetcher(Names({"start.example.com": [[PUBLIC]]}), dialled, (80, 443, listener.port))
    await refusal(one, "http://start.example.com/start")
    assert {address for address, _ in dialled.to} == {PUBLIC}
    assert listener.connections == len(dialled.to)


@pytest.mark.parametrize("address", corpus.REBOUND)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_name_of_the_public_internet_that_is_said_to_be_private(listener, address, scheme):
    dialled = Dialled()
    names = Names({"rebound.example.com": [[address]]})
    assert await refusal(fetcher(names, dialled), f"{scheme}://rebound.example.com/")
    assert (names.asked, dialled.to, listener.connections) == (["rebound.example.com"], [], 0)


@pytest.mark.parametrize("address", corpus.REBOUND)
@pytest.mark.parametrize("first", [True, False])
async def test_a_name_of_which_one_address_is_private(listener, address, first):
    dialled = Dialled({PUBLIC: listener.port})
    mixed = [address, PUBLIC] if first else [PUBLIC, address]
    one = fetcher(Names({"mixed.example.com": [mixed]}), dialled)
    assert await refusal(one, "http://mixed.example.com/")
    assert (dialled.to, listener.connections) == ([], 0)


@pytest.mark.parametrize("address", corpus.REBOUND)
async def test_a_name_that_is_public_first_and_private_then_is_asked_once(listener, address):
    dialled = Dialled({PUBLIC: listener.port})
    names = Names({"rebinding.example.com": [[PUBLIC], [address]]})
    assert await refusal(fetcher(names, dialled), "http://rebinding.example.com/") is None
    assert (names.asked, dialled.to) == (["rebinding.example.com"], [(PUBLIC, 80)])


@pytest.mark.parametrize("address", corpus.REBOUND)
async def test_a_redirect_to_the_same_name_asks_anew_where_it_is(listener, address):
    listener.pages["/start"] = redirect("/next")
    dialled = Dialled({PUBLIC: listener.port})
    names = Names({"rebinding.example.com": [[PUBLIC], [address]]})
    assert await refusal(fetcher(names, dialled), "http://rebinding.example.com/start")
    assert (len(names.asked), dialled.to, listener.connections) == (2, [(PUBLIC, 80)], 1)


async def test_where_everything_is_declared_public_the_listener_is_reached(listener):
    """The other tests count something that can be counted."""
    policy = Policy(ports=frozenset({listener.port}), public=bool)
    dialled = Dialled()
    one = fetcher(Names(), dialled, policy=policy)
    for host in ("127.0.0.1", "[::1]"):
        fetched = await one.fetch(f"http://{host}:{listener.port}/")
        assert fetched.text == "a secret"
    assert listener.connections == len(dialled.to) == 2
