import pytest

from service.audit import rotation
from service.audit.deed import Doer
from service.seal.content import ContentUnreadable
from service.seal.vault import Vault
from service.store.database import open_database
from service.store.filters import Filters
from service.store.rotation import Rotated
from tests.harness.sql import ask
from tests.service.store.rows import CREATED_AT, Row

OLD, NEW, LOST = b"o" * 32, b"n" * 32, b"l" * 32
DOER = Doer(caller=None, request_id="r", trace_id=None, at=CREATED_AT + 9)


@pytest.fixture
def url(database_url):
    return database_url


@pytest.fixture
async def opened(url):
    made = []

    async def make(*masters):
        made.append(await open_database(url, Vault(masters=masters, sealed=True)))
        return made[-1]

    yield make
    for each in made:
        await each.close()


def told(key_id, done):
    return rotation.rotated(
        DOER, key_id, data_keys=done.data_keys, contents=done.contents, quarantined=done.quarantined
    )


async def fill(database, name, count):
    rows = [Row(id=f"{name}{n:04}", actor_id=f"{name}{n}", query=f"text of {name}{n}") for n in range(count)]
    await database.audit.append(rows)
    await database.audit.append([Row(id=f"{name}-n", actor_id=None, query="nobody's")])
    await database.audit.quarantine(Row(id=f"{name}-q", actor_id=f"{name}0"), "refused", b"raw")


async def texts(database):
    page = await database.questions.events(Filters(entity_type="AGENT_QUERY"), 200)
    return {each.id: each.metadata.get("query") for each in await database.opening.page(page.events)}


async def test_afterwards_the_earlier_key_is_not_needed(opened, url):
    await fill(await opened(OLD), "a", 3)
    both = await opened(NEW, OLD)
    await fill(both, "b", 2)
    before = await texts(both)
    done = await both.rotation.rotate(told)
    assert done == Rotated(data_keys=3, contents=1, quarantined=1)
    newest = await opened(NEW)
    assert await texts(newest) == before
    assert None not in before.values()
    for row in ask(url, "SELECT id, raw FROM audit_quarantine"):
        assert Vault(masters=(NEW,)).open(row["raw"], row["id"]) == b"raw"
    assert len(ask(url, "SELECT DISTINCT key_id FROM audit_subject")) == 1
    assert set((await texts(await opened(OLD))).values()) == {None}


async def test_it_is_told_by_events_with_the_numbers_and_the_keys_name(opened):
    await fill(await opened(OLD), "a", 3)
    both = await opened(NEW, OLD)
    await both.rotation.rotate(told)
    events = (await both.questions.events(Filters(entity_type="AUDIT_KEYS"), 9)).events
    names = ("dataKeys", "contents", "quarantined")
    assert [tuple(each.metadata[name] for name in names) for each in reversed(events)] == [
        (3, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
    ]
    assert {(each.action, each.entity_id) for each in events} == {("ROTATED", Vault(masters=(NEW,)).key_id)}


async def test_again_there_is_nothing_to_do_and_nothing_to_tell(opened):
    await fill(await opened(OLD), "a", 1)
    both = await opened(NEW, OLD)
    await both.rotation.rotate(told)
    size = await both.checkpoints.size()
    assert await both.rotation.rotate(told) == Rotated()
    assert await both.checkpoints.size() == size


async def test_many_go_in_steps_and_each_may_be_the_last_for_now(opened):
    await fill(await opened(OLD), "a", 1_100)
    both = await opened(NEW, OLD)

    def fail_second(key_id, done, left=[2]):  # noqa: B006 - counts the calls
        left[0] -= 1
        if not left[0]:
            raise KeyError
        return told(key_id, done)

    with pytest.raises(KeyError):
        await both.rotation.rotate(fail_second)
    assert (await both.rotation.rotate(told)).data_keys == 600
    assert None not in (await texts(await opened(NEW))).values()


async def test_what_opens_with_no_key_stays_and_is_counted(opened, url):
    await fill(await opened(LOST), "a", 2)
    sealed = ask(url, "SELECT id, data_key FROM audit_subject ORDER BY id")
    done = await (await opened(NEW, OLD)).rotation.rotate(told)
    assert done == Rotated(unreadable=4)
    assert ask(url, "SELECT id, data_key FROM audit_subject ORDER BY id") == sealed


async def test_without_a_key_there_is_nothing_to_rotate_to(opened):
    with pytest.raises(ContentUnreadable):
        await (await opened()).rotation.rotate(told)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_content SET query = 'another'",
        "UPDATE audit_content SET salt = sealed",
        "UPDATE audit_content SET subject_id = 'x'",
        "UPDATE audit_content SET log_index = log_index + 100",
        "UPDATE audit_quarantine SET id = 'x'",
    ],
)
async def test_nothing_else_of_a_kept_row_can_be_changed(opened, url, change):
    await fill(await opened(OLD), "a", 1)
    with pytest.raises(Exception, match=r"only be erased|append-only"):
        ask(url, change)


async def test_what_was_erased_cannot_be_filled_again(opened, url):
    await fill(await opened(OLD), "a", 1)
    ask(url, "UPDATE audit_content SET query = NULL, sealed = NULL, salt = NULL")
    ask(url, "UPDATE audit_quarantine SET raw = NULL")
    empty = "X''" if url.startswith("sqlite") else "''::bytea"
    for change in (f"audit_content SET sealed = {empty}", f"audit_quarantine SET raw = {empty}"):
        with pytest.raises(Exception, match=r"only be erased|append-only"):
            ask(url, f"UPDATE {change}")
