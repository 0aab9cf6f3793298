"""The log of a real database, tampered with by its owner: every attack is found, and nothing else is.

`PARLEY_STEPS` is how often each attack is made, each time elsewhere.
"""

import asyncio
import multiprocessing
import os
import random
import shutil
from pathlib import Path

import pytest
from msgspec import Struct, structs

from service.audit import erasure
from service.audit.deed import Doer
from service.audit.retention import DAY, retain
from service.audit.verification.digest import digest
from service.audit.verify import Buried, Report, Verification
from service.errors import DatabaseError
from service.seal.vault import Vault
from service.store.database import Database, open_database
from service.store.proofs import Left
from service.web.checkpoints import keys_of
from service.web.scanning import Scanning, scanned
from service.web.whole_log import verify_log
from tests.service.store.rows import CREATED_AT, Row
from tests.service.web.asking import KEY
from tests.service.web.attacks import EXPECTED, SQLITE, UNDER, Hand, cut, deletion, naive_edit, swap

STEPS = int(os.environ.get("PARLEY_STEPS", "2"))
VAULT = Vault(masters=(b"m" * 32,))
NOW = CREATED_AT + 100 * DAY
DOER = Doer(caller=None, request_id="r", trace_id=None, at=NOW)
PART, TAIL = 100, 20
WRITERS = "a" * 32, "b" * 32
QUARANTINED = 7


class Stock(Struct, frozen=True):
    """A database that is only copied: as it is, as it was earlier, and the checkpoint kept elsewhere."""

    now: str
    earlier: str
    outside: str


def rows(first, count):
    """Turns of two writers and five users; some said nothing, some are nobody's."""
    return [
        Row(
            id=f"event-{number:04d}",
            actor_id=None if number % 11 == 0 else f"user-{number % 5}",
            query=None if number % 4 == 0 else f"What is {number}?",
            metadata=f'{{"number":1{number},"toolsCalled":["calculate"]}}',
            created_at=CREATED_AT + number,
            writer=WRITERS[number % 2],
            writer_seq=number_in_its_writer(number),
            writer_low=number_in_its_writer(number),
        )
        for number in range(first, first + count)
    ]


def number_in_its_writer(number):
    """The writer's numbers from 1; one of the first writer's went to quarantine."""
    counted = number // 2 + 1
    return counted + 1 if number % 2 == 0 and counted >= QUARANTINED else counted


async def grow(database: Database, first: int, count: int, at: int) -> str:
    await database.audit.append(rows(first, count))
    kept = await database.checkpoints.seal(KEY.note, at, force=True)
    assert kept
    return kept.note


async def fill(url: str, until: int) -> str:
    """A log of that many parts with a checkpoint each; gives the last."""
    database = await open_database(url, VAULT)
    note = ""
    for part in range(until):
        note = await grow(database, part * PART, PART, NOW + part)
    lost = Row(id="lost", writer=WRITERS[0], writer_seq=QUARANTINED)
    await database.audit.quarantine(lost, "refused", b"raw")
    if until * PART == UNDER:
        await database.audit.append(rows(UNDER, TAIL))
    await database.close()
    return note


def copied(url: str, folder: Path, request) -> str:
    """A copy of a closed database."""
    if url.startswith(SQLITE):
        to = folder / f"{len([*folder.iterdir()])}.db"
        shutil.copy(url.removeprefix(SQLITE), to)
        return f"{SQLITE}{to}"
    return request.getfixturevalue("postgres").database(f"TEMPLATE {url.rpartition('/')[2]}")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def stock(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    server = request.param == "postgres"
    urls = [
        request.getfixturevalue("postgres").database() if server else f"{SQLITE}{folder}/{name}.db"
        for name in ("now", "earlier")
    ]
    note = asyncio.run(fill(urls[0], UNDER // PART))
    asyncio.run(fill(urls[1], 2))
    return Stock(*urls, note)


@pytest.fixture
def copy(tmp_path, request):
    """`copy(url)`: a copy of one's own."""
    return lambda url: copied(url, tmp_path, request)


async def judged(url: str, outside: str) -> Report:
    database = await open_database(url, VAULT)
    try:
        return await verify_log(database, keys_of(KEY), [outside] if outside else [])
    finally:
        await database.close()


async def by_digests(url: str, outside: str) -> Report:
    """The same verdict, where what holds together is handed over in short, as other processes do."""
    database = await open_database(url, VAULT)
    notes = [kept.note async for page in database.checkpoints.pages() for kept in page]
    verification = Verification(
        keys_of(KEY),
        notes,
        [outside],
        quarantined=await database.proofs.quarantined(),
        known_size=await database.proofs.known_size(),
    )
    async for piece in database.proofs.pieces(window=64):
        held = None if isinstance(piece, Left) else digest(piece, verification.cuts())
        if held is None or not verification.accept(held):
            verification.take(Buried(piece.first, [*piece.leaves]) if isinstance(piece, Left) else piece)
    await database.close()
    return verification.report()


def kinds(report):
    return {each.kind.value for each in report.findings}


def verdict(report):
    """What both ways have to agree on."""
    return structs.replace(report, findings=tuple(sorted(report.findings, key=str)))


@pytest.mark.parametrize("attack", EXPECTED, ids=lambda each: each.__name__)
async def test_an_attack_is_found_and_called_by_its_name(stock, copy, attack):
    for step in range(STEPS):
        hand = Hand(copy(stock.now))
        hand.unguard()
        at = attack(hand, random.Random(f"{attack.__name__} {step}"))  # noqa: S311 - no secret
        report = await judged(hand.url, stock.outside)
        assert not report.valid, (step, at)
        assert kinds(report) <= EXPECTED[attack], (step, at, report.findings)
        assert at is None or at in {each.log_index for each in report.findings}, (step, at, report.findings)
        assert report.found <= 1 + UNDER // PART
        assert verdict(await by_digests(hand.url, stock.outside)) == verdict(report)


async def test_an_old_copy_is_found_by_a_checkpoint_kept_elsewhere_alone(stock, copy):
    url = copy(stock.earlier)
    report = await judged(url, "")
    assert (report.valid, report.freshness) == (True, "unproven")
    assert kinds(await judged(url, stock.outside)) == {"replayed"}


async def test_an_old_copy_that_went_on_is_found_too(stock, copy):
    url = copy(stock.earlier)
    database = await open_database(url, VAULT)
    await database.audit.append([Row(id=f"other-{number}") for number in range(300)])
    await database.checkpoints.seal(KEY.note, NOW + 9, force=True)
    await database.close()
    assert not (await judged(url, stock.outside)).valid


async def test_a_number_that_never_came_is_a_gap(stock, copy):
    url = copy(stock.now)
    database = await open_database(url, VAULT)
    await database.audit.append([Row(id="late", writer=WRITERS[1], writer_seq=300, writer_low=300)])
    await database.close()
    report = await judged(url, stock.outside)
    assert kinds(report) == {"gap"}
    assert "211 to 299" in report.findings[0].detail


async def test_what_is_untouched_is_valid_and_fresh(stock, copy):
    report = await judged(copy(stock.now), stock.outside)
    assert (report.valid, report.findings) == (True, ())
    assert (report.rows, report.size, report.checkpoint_size) == (UNDER + TAIL, UNDER + TAIL, UNDER)
    assert report.freshness.endswith("Z")


async def forget(database, name):
    def tell(done):
        return erasure.erased(
            DOER, done.subject_id, events=done.events, conversations=0, answers=0, api_keys=0
        )  # fmt: skip

    await database.erasures.erase(name, tell, NOW)


async def test_a_person_forgotten_and_events_buried_are_no_finding_and_hide_none(stock, copy):
    url = copy(stock.now)
    database = await open_database(url, VAULT)
    await forget(database, "user-3")
    assert (await judged(url, stock.outside)).valid
    assert await retain(database.retention, 1, DOER) == UNDER
    await database.checkpoints.seal(KEY.note, NOW + 50, force=True)
    await database.close()
    report = await judged(url, stock.outside)
    assert (report.valid, report.findings) == (True, ())
    assert report.rows < TAIL + 10
    assert verdict(await by_digests(url, stock.outside)) == verdict(report)
    assert verdict(await by_processes(url, stock.outside)) == verdict(report)
    hand = Hand(url)
    hand.unguard()
    hand.do("UPDATE audit_event SET role = 'CEO' WHERE log_index = 405")
    assert kinds(await judged(url, stock.outside)) == {"altered"}
    hand.do("UPDATE audit_event SET role = 'CFO' WHERE log_index = 405")
    (stone,) = hand.ask("SELECT first, leaves FROM audit_tombstone ORDER BY first LIMIT 1")
    hand.each(
        "UPDATE audit_tombstone SET leaves = ? WHERE first = ?",
        [(b"x" + stone["leaves"][1:], stone["first"])],
    )
    assert kinds(await judged(url, stock.outside)) == {"altered"}


async def test_a_log_that_is_written_to_while_it_is_verified_is_valid(stock, copy):
    database = await open_database(copy(stock.now), VAULT)
    done = asyncio.Event()

    async def write():
        for number in count_up(done):
            await database.audit.append(rows(UNDER + TAIL + number * 10, 10))
            await database.checkpoints.seal(KEY.note, NOW + 100 + number, force=True)
            if number == 10:
                await forget(database, "user-2")
            if number == 20:
                await retain(database.retention, 1, DOER)

    writing = asyncio.create_task(write())
    try:
        for _ in range(10):
            report = await verify_log(database, keys_of(KEY), [stock.outside])
            assert report.valid, report.findings
    finally:
        done.set()
        await writing
        await database.close()


def count_up(done):
    number = 0
    while number <= 20 or not done.is_set():
        yield number
        number += 1


async def by_processes(url: str, outside: str) -> Report:
    database = await open_database(url, VAULT)
    try:
        return await verify_log(database, keys_of(KEY), [outside], Scanning(url, 2, many=1, share=64))
    finally:
        await database.close()


@pytest.mark.parametrize("attack", [None, naive_edit, deletion, swap, cut])
async def test_processes_of_their_own_say_the_same(stock, copy, attack):
    hand = Hand(copy(stock.now))
    hand.unguard()
    if attack:
        attack(hand, random.Random(5))  # noqa: S311 - no secret
    report = await by_processes(hand.url, stock.outside)
    assert verdict(report) == verdict(await judged(hand.url, stock.outside))
    assert report.valid is (attack is None)


async def drained(windows):
    async for _ in windows:
        pass


async def test_a_process_that_is_ended_is_no_verdict(stock, copy):
    database = await open_database(copy(stock.now), VAULT)
    try:
        windows = scanned(database.proofs, Scanning(copy(stock.now), 1, share=10), UNDER)
        await anext(windows)
        for child in multiprocessing.active_children():
            child.kill()
        with pytest.raises(DatabaseError, match="ended from outside"):
            await drained(windows)
        assert multiprocessing.active_children() == []
    finally:
        await database.close()


async def test_checks_can_fail(stock, copy):
    hand = Hand(copy(stock.now))
    with pytest.raises(Exception, match="append-only"):
        naive_edit(hand, random.Random(1))  # noqa: S311 - no secret
    assert (await judged(hand.url, stock.outside)).valid
