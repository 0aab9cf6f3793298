"""What tools were called with: committed to in the event, sealed apart, shown, forgotten, and sealed anew."""

import msgspec
import pytest
from piccolo.querystring import QueryString

from service.audit import erasure, rotation
from service.audit.deed import Doer
from service.audit.verify import Keys, verify
from service.seal.vault import Vault
from service.store.database import open_database
from service.store.rotation import Rotated
from telemetry.canonical import canonical, commitment
from tests.harness.sql import ask
from tests.service.store.rows import CREATED_AT, Row

OLD, NEW = b"o" * 32, b"n" * 32
DOER = Doer(caller=None, request_id="r", trace_id=None, at=CREATED_AT + 9)
COUNT = "SELECT count(*) AS n FROM audit_arguments"
SALTS = ["ab" * 32, "cd" * 32]
ARGUMENTS = [{"expression": "6*7"}, {"zone": "Europe/Köln", "n": [1, 2.5, None]}]


def row(name="turn-1", user="ann", salts=SALTS):
    said = [
        {"callId": f"c{n}", "salt": salt, "arguments": canonical(arguments)}
        for n, (salt, arguments) in enumerate(zip(salts, ARGUMENTS, strict=True))
    ]
    calls = [
        {"callId": f"c{n}", "name": "x", "argumentsCommitment": commitment(salt, canonical(arguments))}
        for n, (salt, arguments) in enumerate(zip(SALTS, ARGUMENTS, strict=True))
    ]
    metadata = canonical({"toolCalls": calls, "toolsCalled": ["x"]})
    return Row(id=name, actor_id=user, metadata=metadata, arguments=msgspec.json.encode(said).decode())


@pytest.fixture
async def opened(url):
    made = []

    async def make(*masters, sealed=False):
        made.append(await open_database(url, Vault(masters=masters, sealed=sealed)))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def calls(database, name="turn-1"):
    event = await database.questions.event(name)
    return (await database.opening.one(event)).metadata["toolCalls"]


@pytest.mark.parametrize("sealed", [False, True], ids=["clear", "sealed"])
async def test_what_is_shown_is_what_was_committed_to(opened, sealed):
    database = await opened(NEW, sealed=sealed)
    await database.audit.append([row()])
    shown = await calls(database)
    assert [call["arguments"] for call in shown] == ARGUMENTS
    for call in shown:
        assert commitment(call["argumentsSalt"], canonical(call["arguments"])) == call["argumentsCommitment"]


async def test_the_event_itself_and_its_page_show_none(opened, url):
    database = await opened(NEW)
    await database.audit.append([row()])
    event = await database.questions.event("turn-1")
    assert [set(call) for call in event.metadata["toolCalls"]] == [
        {"callId", "name", "argumentsCommitment"}
    ] * 2
    (kept,) = ask(url, "SELECT sealed FROM audit_arguments")
    assert b"6*7" not in bytes(kept["sealed"])
    assert SALTS[0].encode() not in bytes(kept["sealed"])


async def test_arguments_that_are_not_those_committed_to_are_not_shown(opened):
    database = await opened(NEW)
    await database.audit.append([row(salts=["ee" * 32, "no hex"])])
    assert [call["arguments"] for call in await calls(database)] == [None, None]


async def test_what_was_moved_to_another_event_does_not_open(opened, url):
    database = await opened(NEW)
    await database.audit.append([row("a"), row("b")])
    ask(url, "UPDATE audit_arguments SET sealed = (SELECT sealed FROM audit_arguments WHERE log_index = 0)")
    assert [call["arguments"] for call in await calls(database, "a")] == ARGUMENTS
    assert [call["arguments"] for call in await calls(database, "b")] == [None, None]


async def test_without_a_key_none_are_kept(opened, url):
    database = await opened()
    await database.audit.append([row()])
    assert ask(url, COUNT) == [{"n": 0}]
    assert [call["arguments"] for call in await calls(database)] == [None, None]


async def test_they_go_with_the_person_and_the_log_still_holds(opened, url):
    database = await opened(NEW)
    await database.audit.append([row("a"), row("b", "ben")])

    def told(done):
        return erasure.erased(
            DOER,
            done.subject_id,
            events=done.events,
            conversations=done.conversations,
            answers=done.answers,
            api_keys=done.api_keys,
        )

    await database.erasures.erase("ann", told, CREATED_AT + 1)
    assert [call["arguments"] for call in await calls(database, "a")] == [None, None]
    assert [call["arguments"] for call in await calls(database, "b")] == ARGUMENTS
    assert ask(url, COUNT) == [{"n": 1}]
    pieces = [piece async for piece in database.proofs.pieces()]
    report = verify(pieces, Keys(()), [])
    assert (report.valid, report.rows) == (True, 3)
    await database.audit.append([row("late")])  # asked before, and only now written
    assert [call["arguments"] for call in await calls(database, "late")] == [None, None]


async def test_they_are_readable_after_the_keys_were_rotated(opened, url):
    before = await opened(OLD)
    await before.audit.append([row()])
    both = await opened(NEW, OLD)
    await both.audit.append([row("b", "ben")])
    ask(url, "UPDATE audit_subject SET data_key = NULL WHERE user_id = 'ben'")
    engine = both.audit._engine
    sealed = Vault(masters=(OLD,)).seal(msgspec.json.encode([]), "b/arguments")
    await engine.run_querystring(
        QueryString("UPDATE audit_arguments SET sealed = {} WHERE log_index = 1", sealed)
    )

    def told(key_id, done):
        return rotation.rotated(
            DOER, key_id, data_keys=done.data_keys, contents=done.contents, quarantined=done.quarantined
        )

    assert await both.rotation.rotate(told) == Rotated(data_keys=1, contents=1)
    newest = await opened(NEW)
    assert [call["arguments"] for call in await calls(newest)] == ARGUMENTS
    event = await newest.questions.event("b")
    assert newest.opening._vault.open(await _sealed(newest, 1), f"{event.id}/arguments") == b"[]"


async def _sealed(database, index):
    query = QueryString("SELECT sealed FROM audit_arguments WHERE log_index = {}", index)
    (found,) = await database.audit._engine.run_querystring(query)
    return bytes(found["sealed"])
