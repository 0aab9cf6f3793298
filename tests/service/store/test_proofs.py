"""What proofs are made of, read from real databases."""

# ruff: noqa: S608 - the statements are the tests own

import sqlite3
from contextlib import closing

import pytest

from service.seal.leaf import COLUMNS, canonical, leaf_hash
from service.seal.merkle import root_from_path
from service.seal.vault import Vault
from service.store.database import open_database
from service.store.proofs import Left, merged
from tests.harness.sql import ask
from tests.service.seal import naive
from tests.service.store.rows import Row, batch_of

SIZE = 700


@pytest.fixture
async def database(database_url):
    opened = await open_database(database_url, Vault(masters=(b"m" * 32,)))
    await opened.audit.append(batch_of("a", SIZE))
    yield opened
    await opened.close()


async def pieces(database, window=100):
    return [piece async for piece in database.proofs.pieces(window=window)]


def places(piece):
    if isinstance(piece, Left):
        return [*range(piece.first, piece.first + len(piece.leaves))]
    return [row[0] for row in piece]


def leaves_of(piece):
    return piece.leaves if isinstance(piece, Left) else [row[1] for row in piece]


def unguard(url, table):
    ask(url, f"DROP TRIGGER {table}_kept" + ("" if url.startswith("sqlite") else f" ON {table}"))


def bury(url, first, last):
    there = f"log_index BETWEEN {first} AND {last}"
    rows = ask(url, f"SELECT leaf_hash FROM audit_event WHERE {there} ORDER BY log_index")
    leaves = b"".join(bytes(row["leaf_hash"]) for row in rows)
    mark = "?, ?, ?" if url.startswith("sqlite") else "$1, $2, $3"
    columns = "(first, last, leaves, removed_at)"
    ask(url, f"INSERT INTO audit_tombstone {columns} VALUES ({mark}, 0)", first, last, leaves)
    for table in ("audit_content", "audit_event"):
        ask(url, f"DELETE FROM {table} WHERE {there}")


async def test_every_row_comes_once_in_order_as_it_was_sealed(database):
    found = await pieces(database)
    assert [place for piece in found for place in places(piece)] == [*range(SIZE)]
    assert [len(piece) for piece in found] == [100] * 7
    for row in (row for piece in found for row in piece):
        assert leaf_hash(canonical(row[3 : 3 + len(COLUMNS)])) == row[1]
        assert row[-3] == "How much did we spend?"
        assert (len(row[-2]), row[-1]) == (32, "clear")


async def test_the_state_of_content_is_told(database, database_url):
    await database.audit.append([Row(id="mute", query=None)])
    words = "" if database_url.startswith("sqlite") else ", words = NULL"
    ask(database_url, f"UPDATE audit_content SET query = NULL, salt = NULL{words} WHERE log_index = 0")
    found = [row for piece in await pieces(database) for row in piece]
    assert [(row[-3], row[-2], row[-1]) for row in (found[0], found[-1])] == [
        (None, None, "erased"),
        (None, None, None),
    ]


async def test_what_was_buried_comes_as_leaves_in_its_place(database, database_url):
    whole = [row for piece in await pieces(database) for row in piece]
    for first, last in ((0, 9), (90, 109), (300, 499), (690, 699)):
        bury(database_url, first, last)
    found = await pieces(database)
    assert [place for piece in found for place in places(piece)] == [*range(SIZE)]
    buried = [(piece.first, leaf) for piece in found if isinstance(piece, Left) for leaf in piece.leaves]
    expected = [*range(10), *range(90, 110), *range(300, 500), *range(690, 700)]
    assert [leaf for _, leaf in buried] == [whole[place][1] for place in expected]
    assert await database.proofs.buried()


def test_a_row_that_was_buried_while_it_was_read_counts_and_another_in_its_place_is_seen():
    rows = [(place, bytes([place])) for place in (1, 2, 3, 5)]
    left = [Left(2, [b"\x02", b"x", b"\x04"])]
    assert [*merged(rows, left)] == [rows[:2], Left(3, [b"x", b"\x04"]), rows[2:]]
    assert [*merged([], left)] == left
    assert [*merged(rows, [])] == [rows]


async def test_places_far_away_are_read_too(database, database_url):
    for place in (1 << 40, (1 << 62) + 5):
        copied = ", ".join((*COLUMNS[1:], "leaf_hash", "chain_hash"))
        columns = f"{place}, 'far-{place}', {copied}"
        ask(database_url, f"INSERT INTO audit_event SELECT {columns} FROM audit_event WHERE log_index = 0")
    found = await pieces(database)
    assert [place for piece in found for place in places(piece)][-2:] == [1 << 40, (1 << 62) + 5]


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 300, 513, SIZE])
async def test_paths_lead_to_the_root(database, database_url, size):
    bury(database_url, 100, 150)
    whole = [leaf for piece in await pieces(database) for leaf in leaves_of(piece)]
    places = sorted({0, size // 3, size // 2, size - 1})
    paths = await database.proofs.paths(places, size)
    assert [*paths] == places
    for place, path in paths.items():
        assert root_from_path(place, size, whole[place], path) == naive.root(whole[:size])


async def test_seals_are_what_was_hashed(database):
    found = await database.proofs.seals(["a-0005", "a-0699", "nobody"])
    assert [*found] == ["a-0005", "a-0699"]
    rows = {row[3]: row for piece in await pieces(database) for row in piece}
    for name, seal in found.items():
        row = rows[name]
        assert (seal.log_index, leaf_hash(seal.columns), seal.chain, seal.salt) == (
            row[0],
            row[1],
            row[2],
            row[-2],
        )


async def test_the_whole_log_comes_the_last_first(database):
    found = [event.log_index async for page in database.proofs.whole(650, 100) for event in page]
    assert found == [*range(649, -1, -1)]
    assert not await database.proofs.buried()


async def test_the_database_knows_how_far_it_goes(database, database_url):
    assert await database.proofs.known_size() == SIZE
    unguard(database_url, "audit_event")
    ask(database_url, "DELETE FROM audit_event WHERE log_index >= 500")
    assert await database.proofs.known_size() == SIZE
    unguard(database_url, "audit_content")
    ask(database_url, "DELETE FROM audit_content")
    assert await database.proofs.known_size() == 512


async def test_quarantined_numbers_are_told(database):
    await database.audit.quarantine(Row(id="q", writer="w", writer_seq=7), "no", b"raw")
    await database.audit.quarantine(Row(id="r"), "no", b"raw")
    assert await database.proofs.quarantined() == [("w", 7)]


async def test_text_that_is_no_utf_8_is_read_as_what_nothing_hashes(tmp_path):
    url = f"sqlite:///{tmp_path}/parley.db"
    database = await open_database(url)
    await database.audit.append(batch_of("a", 3))
    with closing(sqlite3.connect(tmp_path / "parley.db")) as plain, plain:
        plain.execute("DROP TRIGGER audit_event_unchanged")
        plain.execute("UPDATE audit_event SET role = CAST(x'ff' AS TEXT) WHERE log_index = 1")
    (rows,) = await pieces(database)
    assert [row[3 + COLUMNS.index("role")] for row in rows] == ["CFO", "\udcff", "CFO"]
    assert (await database.proofs.known_size()) == 3
    assert (await database.questions.event("a-0000")).role == "CFO"
    await database.close()
