import json
import os
import sqlite3
import subprocess
from contextlib import asynccontextmanager, closing
from pathlib import Path

import asyncpg
import msgspec
import pytest
from piccolo.querystring import QueryString

from service.audit import erasure
from service.audit.deed import Doer
from service.audit.verify import Buried, Keys, verify
from service.errors import Conflict, NotFound
from service.seal.vault import Vault
from service.store.conversations import KeptTurn
from service.store.database import open_database
from service.store.erasure import Erasures
from service.store.filters import Filters
from service.store.keys import StoredKey
from telemetry.record import Caller
from tests.harness.postgres import _programs
from tests.harness.process import environment
from tests.harness.sql import ask, locked
from tests.service.store.people import EVENTS, found_in, found_in_files, live, people, turn_of
from tests.service.store.rows import CREATED_AT, Row

STEPS = int(os.environ.get("PARLEY_STEPS", "40"))
NOW = CREATED_AT + 1_000_000
MASTER = bytes(range(32))
DOER = Doer(caller=None, request_id="r", trace_id=None, at=NOW, system_user="root")
CLEAR, SEALED = Vault(masters=(MASTER,)), Vault(masters=(MASTER,), sealed=True)
SUMS = (
    "SELECT count(*) AS n, sum(cost_micros) AS c, sum(input_tokens) AS i FROM audit_event "
    "WHERE entity_type = 'AGENT_QUERY'"
)


@pytest.fixture
async def database(url):
    opened = await open_database(url, CLEAR)
    yield opened
    await opened.close()


@pytest.fixture
async def sealed(url):
    opened = await open_database(url, SEALED)
    yield opened
    await opened.close()


def told(done, doer=DOER):
    return erasure.erased(
        doer,
        done.subject_id,
        events=done.events,
        conversations=done.conversations,
        answers=done.answers,
        api_keys=done.api_keys,
    )


async def erase(database, user, now=NOW):
    return await database.erasures.erase(user, told, now)


async def verified(database):
    pieces = [
        piece if isinstance(piece, list) else Buried(piece.first, list(piece.leaves))
        async for piece in database.proofs.pieces()
    ]
    return verify(pieces, Keys(()), known_size=await database.proofs.known_size())


def bytes_left(url, postgres):
    """The words that are in the files, and in what a dump says."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        return found_in_files(path.with_name(path.name + end) for end in ("", "-wal", "-shm"))
    ask(url, "CHECKPOINT")
    (row,) = ask(url, "SELECT oid::text AS oid FROM pg_database WHERE datname = current_database()")
    files = found_in_files((postgres.data / "base" / row["oid"]).iterdir())
    program = [_programs() / "pg_dump", "--inserts", url]
    dump = subprocess.run(program, env=environment({}), capture_output=True, check=True).stdout
    return files | found_in(dump)


@pytest.fixture
def left(url, request):
    server = None if url.startswith("sqlite") else request.getfixturevalue("postgres")
    return lambda: bytes_left(url, server)


async def test_not_a_byte_of_the_erased_is_left_and_every_one_of_the_others(database, sealed, url, left):
    gone, kept = people(STEPS, 1), people(5, 2)
    await settle(database, sealed, gone)
    await settle(database, sealed, kept)
    before, talks = ask(url, SUMS), [await database.conversations.list(each.name, 9) for each in kept]
    assert left() >= clear_of(*gone[::2])
    assert {counts(await erase(database, each.name)) for each in gone} == {(EVENTS, 1, 1, 1)}
    assert (await database.erasures.scrub()).left == ()
    assert not left() & words_of(*gone)
    assert left() >= clear_of(*kept[::2])
    assert ask(url, SUMS) == before
    assert [await database.conversations.list(each.name, 9) for each in kept] == talks
    for person in kept:
        found = await shown(database, actor=person.name)
        assert [each.metadata["query"] for each in reversed(found)] == list(person.texts)
    assert [len(await shown(database, q=each.texts[0])) for each in (gone[0], kept[0])] == [0, 1]
    report = await verified(database)
    assert (report.valid, report.rows) == (True, (STEPS + 5) * EVENTS + STEPS)


async def settle(database, sealed, who):
    """Let people live, every other one where texts are sealed; a server looks at what its columns hold."""
    for number, person in enumerate(who):
        await live((database, sealed)[number % 2], person)
    await database._engine.run_ddl("ANALYZE")


def words_of(*who):
    return set().union(*(person.words for person in who))


def clear_of(*who):
    return set().union(*(person.clear for person in who))


def counts(done):
    return done.events, done.conversations, done.answers, done.api_keys


async def shown(database, **filters):
    page = await database.questions.events(Filters(**filters), 200)
    return await database.opening.page(page.events)


async def test_the_erasure_is_an_event_that_names_nobody(database, url):
    (ann,) = people(1, 3)
    await live(database, ann)
    done = await erase(database, ann.name)
    (event,) = await shown(database, entity_type="AUDIT_ERASURE")
    assert (event.action, event.entity_id, event.actor_id) == ("ERASED", done.subject_id, None)
    facts = {name: event.metadata[name] for name in ("subjectId", "events", "conversations", "apiKeys")}
    assert facts == {"subjectId": done.subject_id, "events": EVENTS, "conversations": 1, "apiKeys": 1}
    assert event.metadata["systemUser"] == "root"
    turns = await shown(database, actor=done.subject_id, entity_type="AGENT_QUERY")
    assert {(each.actor_id, each.metadata["content"], each.metadata["query"]) for each in turns} == {
        (done.subject_id, "erased", None)
    }
    assert not found_in(json.dumps(ask(url, "SELECT metadata FROM audit_event")).encode())


async def test_who_erases_himself_is_not_named_by_it(database, url):
    (ann,) = people(1, 4)
    await live(database, ann)
    caller = Caller(user_id=ann.name, role="AUDIT_HEAD", method="", credential_id="", pseudonym="")
    doer = Doer(caller=caller, request_id="r", trace_id=None, at=NOW)
    await database.erasures.erase(ann.name, lambda done: told(done, doer), NOW)
    (event,) = await shown(database, entity_type="AUDIT_ERASURE")
    assert not found_in(msgspec.json.encode(event))
    assert ask(url, "SELECT user_id FROM audit_subject") == []
    assert (await verified(database)).valid


@pytest.mark.parametrize("user", ["nobody", "", "a\0b", "%"])
async def test_nobody_of_that_name_writes_nothing(database, url, user):
    with pytest.raises(NotFound, match="nobody of that name"):
        await erase(database, user)
    assert ask(url, "SELECT id FROM audit_event") == ask(url, "SELECT * FROM audit_erased") == []


async def test_the_second_time_there_is_nobody(database):
    (ann,) = people(1, 5)
    await live(database, ann)
    await erase(database, ann.name)
    with pytest.raises(NotFound):
        await erase(database, ann.name)
    assert len(await shown(database, entity_type="AUDIT_ERASURE")) == 1


async def test_whoever_has_a_key_only_is_somebody(database, url):
    (ann,) = people(1, 6)
    await live(database, ann)
    await erase(database, ann.name)
    await database.keys.add(key_of(ann.name))
    done = await erase(database, ann.name)
    assert (done.events, done.api_keys) == (0, 1)
    assert ask(url, "SELECT id FROM api_key") == []


def key_of(name):
    return StoredKey(id="k-2", user_id=name, role="CFO", scopes=(), digest="ab", created_at=1)


async def test_a_row_that_comes_late_brings_neither_name_nor_text_back(database, sealed, url):
    (ann,) = people(1, 7)
    await live(database, ann)
    await erase(database, ann.name)
    for number, late in enumerate((database, sealed)):
        row = Row(id=f"late-{number}", actor_id=ann.name, query=ann.texts[0], created_at=NOW)
        await late.audit.append([row])
        await late.audit.quarantine(Row(id=f"q{number}", actor_id=ann.name, created_at=NOW), "r", b"raw")
    assert ask(url, "SELECT user_id FROM audit_subject") == []
    assert {event.metadata["content"] for event in await shown(database, entity_type="AGENT_QUERY")} == {
        "erased"
    }
    assert ask(url, "SELECT raw FROM audit_quarantine WHERE raw IS NOT NULL") == []
    assert not await shown(database, q=ann.texts[0])
    assert (await verified(database)).valid
    await database.audit.append([Row(id="anew", actor_id=ann.name, query="hello again", created_at=NOW + 1)])
    (anew,) = await shown(database, actor=ann.name)
    assert (anew.id, anew.metadata["query"]) == ("anew", "hello again")


async def test_a_turn_that_ran_meanwhile_keeps_no_conversation(database, url):
    (ann,) = people(1, 8)
    await live(database, ann)
    await erase(database, ann.name)
    turn = KeptTurn(
        turn_id="t", conversation_id="c", position=1, model="m", messages="[]", asked_at=NOW, answered_at=NOW
    )
    assert not await database.conversations.keep(ann.name, "title", turn)
    assert ask(url, "SELECT id FROM conversation") == []


async def test_digests_are_forgotten_after_thirty_days(database, url):
    ann, bob = people(2, 9)
    await live(database, ann)
    await live(database, bob)
    await erase(database, ann.name)
    await erase(database, bob.name, NOW + 30 * 86_400_000_000 + 1)
    assert len(ask(url, "SELECT user_digest FROM audit_erased")) == 1


async def test_a_digest_of_an_earlier_key_counts_as_well(database, url):
    (ann,) = people(1, 10)
    await live(database, ann)
    await erase(database, ann.name)
    rotated = await open_database(url, Vault(masters=(b"n" * 32, MASTER)))
    await rotated.audit.append([Row(id="late", actor_id=ann.name, query="x", created_at=NOW)])
    await rotated.close()
    assert ask(url, "SELECT user_id FROM audit_subject") == []


async def test_more_texts_than_one_transaction_takes_all_go(database, url):
    await database.audit.append([Row(id=f"e{n}", query=f"word{n}") for n in range(10)])
    await Erasures(database._engine, CLEAR, step=3).erase("user-1", told, NOW)
    assert ask(url, "SELECT log_index FROM audit_content WHERE query IS NOT NULL OR salt IS NOT NULL") == []
    assert [await shown(database, q=f"word{n}") for n in range(10)] == [()] * 10


async def test_under_legal_hold_nothing_is_erased(database):
    (ann,) = people(1, 11)
    await live(database, ann)
    await database.holds.place(ann.name, "case 7", lambda who: erasure.placed(DOER, who), NOW)
    with pytest.raises(Conflict, match="case 7"):
        await erase(database, ann.name)
    assert [each.metadata["query"] for each in await shown(database, actor=ann.name)][::-1] == list(ann.texts)
    await database.holds.release(ann.name, lambda who: erasure.released(DOER, who), NOW)
    assert (await erase(database, ann.name)).events == EVENTS
    assert (await verified(database)).valid


async def test_what_keeps_the_files_from_being_cleared_is_said_and_can_be_done_later(database, url, left):
    (ann,) = people(1, 12)
    await live(database, ann)
    hasty = Erasures(database._engine, CLEAR, patience=0.001)
    async with onlooker(url):
        await erase(database, ann.name)
        (said, *_) = (await hasty.scrub()).left
    assert "others read" in said or "began earlier" in said
    assert left() & ann.words
    assert (await database.erasures.scrub()).left == ()
    assert not left() & ann.words


@asynccontextmanager
async def onlooker(url):
    """Somebody who still sees the database as it was before everything that comes now."""
    look = "SELECT count(*) FROM audit_event"
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute(look).fetchone()
            yield
        return
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await connection.fetchval(look)
        yield
    finally:
        await connection.close()


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_table_that_somebody_uses_is_left_for_later(database, url):
    hasty = Erasures(database._engine, CLEAR, patience=0.2)
    async with locked(url, "audit_subject"):
        said = (await hasty.scrub()).left
    assert [each.partition(" ")[0] for each in said] == ["audit_subject"]
    assert "parley audit scrub" in said[0]
    (bound,) = await database._engine.run_querystring(QueryString("SHOW statement_timeout"))
    assert bound == {"statement_timeout": "5s"}


async def test_what_was_deleted_without_care_before_is_cleared_as_well(database, url, left):
    gone, kept = people(9, 13), people(9, 14)
    earlier = await open_database(url)  # without keys, as versions before kept conversations
    for person in (*gone, *kept):
        await earlier.conversations.keep(person.name, person.said, turn_of(person))
    await earlier.close()
    carelessly(url, f"DELETE FROM conversation_turn WHERE turn_id IN ({listed(gone)})")  # noqa: S608
    said = [{*found_in(each.said.encode())} for each in gone]
    for words in said:
        assert left() >= words
    ask(url, "UPDATE conversation SET title = ''")
    assert (await database.erasures.scrub()).left == ()
    assert not left() & set().union(*said)
    assert left() >= set().union(*(found_in(each.said.encode()) for each in kept))


def listed(who):
    return ", ".join(f"'t-{each.name[:6]}'" for each in who)


def carelessly(url, statement):
    """Run it as a client that leaves the bytes of what it deletes where they are."""
    if not url.startswith("sqlite"):
        ask(url, statement)
        return
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute(statement)
