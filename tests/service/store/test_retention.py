import pytest

from service.audit import erasure
from service.audit.deed import Doer
from service.audit.retention import DAY, cutoff_of, retain
from service.audit.verify import Buried, Keys, Verifier, verify
from service.seal.checkpoint import Checkpoint, Signer
from service.seal.keys import derived, public_of
from service.seal.vault import Vault
from service.store.database import open_database
from service.store.filters import Filters
from service.store.retention import spans_of
from tests.harness.sql import ask
from tests.service.store.people import live, people
from tests.service.store.rows import CREATED_AT, Row

NOW = CREATED_AT + 40 * DAY
OLD, NEW = CREATED_AT, NOW - DAY
SIGNING = derived(b"s" * 32)
SIGNER, VERIFIERS = Signer(SIGNING), (Verifier(public_of(SIGNING)),)
DOER = Doer(caller=None, request_id="r", trace_id=None, at=NOW)
INDEXED = "SELECT rowid FROM audit_words WHERE audit_words MATCH 'word*' ORDER BY rowid"
PLACES = "SELECT log_index FROM audit_event ORDER BY log_index"
ANN = people(1, 31)[0]


@pytest.fixture
async def database(url):
    opened = await open_database(url, Vault(masters=(b"m" * 32,)))
    yield opened
    await opened.close()


async def checkpoint(database):
    """Sign the log as it is."""
    await database.checkpoints.seal(
        lambda size, root, chain, at: SIGNER.note(Checkpoint("parley", size, root, at, chain)),
        NOW,
        force=True,
    )


async def append(database, count, at=OLD, **fields):
    first = await database.checkpoints.size()
    rows = [Row(id=f"e{first + n}", query=f"word{first + n}", created_at=at, **fields) for n in range(count)]
    for start in range(0, count, 500):
        await database.audit.append(rows[start : start + 500])


async def run(database, days=30):
    return await retain(database.retention, days, DOER)


async def verified(database, url):
    pieces = [
        piece if isinstance(piece, list) else Buried(piece.first, list(piece.leaves))
        async for piece in database.proofs.pieces()
    ]
    notes = [row["note"] for row in ask(url, "SELECT note FROM audit_checkpoint ORDER BY size")]
    return verify(pieces, Keys(VERIFIERS), notes, known_size=await database.proofs.known_size())


def places(url):
    return [row["log_index"] for row in ask(url, PLACES)]


async def told(database):
    events = (await database.questions.events(Filters(entity_type="AUDIT_RETENTION"), 200)).events
    return [(each.metadata["ranges"], each.metadata["events"]) for each in reversed(events)]


async def test_old_events_go_and_the_log_verifies_and_grows_on(database, url):
    await append(database, 10)
    await append(database, 5, NEW)
    await checkpoint(database)
    assert await database.retention.due(cutoff_of(30, NOW)) == 10
    assert await run(database) == 10
    assert places(url) == [*range(10, 16)]
    assert await told(database) == [([[0, 9]], 10)]
    assert (await verified(database, url)).valid
    await append(database, 3, NOW)
    again = await open_database(url)
    await again.audit.append([Row(id="another", created_at=NOW)])
    await again.close()
    await checkpoint(database)
    report = await verified(database, url)
    assert (report.valid, report.rows, report.size) == (True, 10, 20)
    assert await run(database) == 0


async def test_what_goes_takes_its_text_its_words_and_its_tools_along(database, url):
    await append(database, 3, metadata='{"toolsCalled":["calculate"]}')
    await append(database, 2, NEW, metadata='{"toolsCalled":["calculate"]}')
    await checkpoint(database)
    await run(database)
    for table in ("audit_content", "audit_event_tool"):
        found = ask(url, f"SELECT log_index FROM {table} ORDER BY log_index")  # noqa: S608
        assert [row["log_index"] for row in found] == [3, 4]
    found = {n: await database.questions.events(Filters(q=f"word{n}"), 9) for n in range(5)}
    assert [len(page.events) for page in found.values()] == [0, 0, 0, 1, 1]
    if url.startswith("sqlite"):
        assert [row["rowid"] for row in ask(url, INDEXED)] == [3, 4]


async def test_what_goes_takes_along_what_its_tools_were_called_with(database, url):
    await append(database, 2, arguments="[]")
    await append(database, 1, NOW, arguments="[]")
    await checkpoint(database)
    await run(database)
    assert [row["log_index"] for row in ask(url, "SELECT log_index FROM audit_arguments")] == [2]


async def test_only_what_a_checkpoint_covers_goes(database, url):
    await append(database, 4)
    assert await run(database) == 0
    await checkpoint(database)
    await append(database, 4)
    assert await run(database) == 4
    assert places(url) == [4, 5, 6, 7, 8]
    assert (await verified(database, url)).valid


async def test_the_held_and_what_was_done_to_the_audit_stay(database, url):
    await append(database, 2)
    old = Doer(caller=None, request_id="r", trace_id=None, at=OLD)
    await database.holds.place("held", "case", lambda who: erasure.placed(old, who), OLD)
    await database.audit.append([Row(id="theirs", actor_id="held", created_at=OLD)])
    await live(database, ANN)
    await database.erasures.erase(
        ANN.name,
        lambda done: erasure.erased(
            old, done.subject_id, events=done.events, conversations=1, answers=1, api_keys=1
        ),
        OLD,
    )
    await append(database, 2)
    await checkpoint(database)
    assert await run(database) == 7
    assert await told(database) == [([[0, 1], [4, 6], [8, 9]], 7)]
    kept = ask(url, "SELECT entity_type FROM audit_event ORDER BY log_index")
    kinds = ["AUDIT_HOLD", "AGENT_QUERY", "AUDIT_ERASURE", "AUDIT_RETENTION"]
    assert [row["entity_type"] for row in kept] == kinds
    assert (await verified(database, url)).valid
    await database.holds.release("held", lambda who: erasure.released(DOER, who), NOW)
    assert await run(database) == 1


async def test_a_long_log_goes_in_runs_each_with_its_event(database, url):
    await append(database, 2_300)
    await append(database, 1, NEW)
    await checkpoint(database)
    assert await run(database) == 2_300
    assert await told(database) == [([[0, 999]], 1_000), ([[1000, 1999]], 1_000), ([[2000, 2299]], 300)]
    assert len(ask(url, "SELECT first FROM audit_tombstone")) == 3
    report = await verified(database, url)
    assert (report.valid, report.size) == (True, 2_304)
    another = await open_database(url)
    await another.audit.append([Row(id="another", created_at=NOW)])
    await another.close()
    assert (await verified(database, url)).valid


async def test_what_was_removed_without_a_word_is_found(database, url):
    await append(database, 3)
    await append(database, 1, NEW)
    await checkpoint(database)
    await database.retention.remove(NEW, lambda _: Row(id="silent", created_at=NOW, query=None))
    report = await verified(database, url)
    assert [(each.kind.value, each.log_index) for each in report.findings] == [("deleted", 0)]


@pytest.mark.parametrize(
    ("given", "spans"),
    [
        ([5], [(5, 5)]),
        ([0, 1, 2], [(0, 2)]),
        ([0, 2, 3, 7], [(0, 0), (2, 3), (7, 7)]),
    ],
)
def test_places_are_told_as_runs_without_a_gap(given, spans):
    assert list(spans_of(given)) == spans
