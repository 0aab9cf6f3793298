import pytest

from service.seal.vault import Vault
from service.store.database import open_database
from service.store.filters import Filters
from tests.harness.sql import ask
from tests.service.store.rows import Row

VAULT = Vault(masters=(b"m" * 32,), sealed=True)


@pytest.fixture
async def database(url):
    opened = await open_database(url, VAULT)
    yield opened
    await opened.close()


async def page(database):
    return (await database.questions.events(Filters(), 50)).events


async def opened(database):
    return {each.id: each.metadata for each in await database.opening.page(await page(database))}


async def test_a_sealed_text_is_in_no_view_and_opens_for_who_asks(database, url):
    await database.audit.append(
        [Row(id="a", query="where is the money"), Row(id="b", actor_id=None, query="nobody's words")]
    )
    assert "money" not in repr(ask(url, 'SELECT * FROM "AuditEvent"'))
    assert {each.metadata["content"] for each in await page(database)} == {"sealed"}
    found = await opened(database)
    assert {name: each["query"] for name, each in found.items()} == {
        "a": "where is the money",
        "b": "nobody's words",
    }
    assert all("content" not in each for each in found.values())


async def test_all_others_stay_as_they_are(database, url):
    clear = await open_database(url, Vault(masters=VAULT.masters))
    await clear.audit.append([Row(id="a", query="in clear"), Row(id="b", query=None)])
    await clear.close()
    events = await page(database)
    assert await database.opening.page(events) == events


async def test_a_text_whose_key_is_lost_says_so_and_no_other_suffers(database, url):
    await database.audit.append([Row(id="a", query="lost"), Row(id="c", actor_id=None, query="lost too")])
    other = await open_database(url, Vault(masters=(b"n" * 32,), sealed=True))
    await other.audit.append([Row(id="b", actor_id="bob", query="found")])
    found = await opened(other)
    await other.close()
    assert [(found[each]["query"], found[each].get("content")) for each in "acb"] == [
        (None, "unreadable"),
        (None, "unreadable"),
        ("found", None),
    ]


async def test_a_text_erased_since_the_page_was_read_is_unreadable(database, url):
    await database.audit.append([Row(id="a", query="gone")])
    events = await page(database)
    ask(url, "UPDATE audit_content SET query = NULL, sealed = NULL, salt = NULL")
    (event,) = await database.opening.page(events)
    assert event.metadata["content"] == "unreadable"


async def test_page_after_page_is_opened(database):
    await database.audit.append([Row(id=f"e{n:03}", query=f"text {n}") for n in range(25)])
    pages = database.opening.pages(database.questions.pages(Filters(), 10))
    found = [event.metadata["query"] async for each in pages for event in each]
    assert sorted(found) == sorted(f"text {n}" for n in range(25))


async def test_one_event_is_opened(database):
    await database.audit.append([Row(id="a", query="x")])
    event = await database.questions.event("a")
    assert (await database.opening.one(event)).metadata["query"] == "x"
