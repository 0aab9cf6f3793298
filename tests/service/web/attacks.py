"""What an owner of the database may do to the log with SQL, triggers and constraints out of the way.

Each attack is given a hand on a copy of its own, and dice. It returns the place that has to be named, or None
where any will do; `EXPECTED` has the kinds that may be told of it.
"""

# ruff: noqa: S608 - the statements are the tests own

import asyncio
import hashlib
import random
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from typing import Any

import asyncpg

from service.seal.checkpoint import Checkpoint, Signer
from service.seal.keys import derived
from service.seal.leaf import COLUMNS, GENESIS, canonical, chain_hash, leaf_hash
from service.seal.merkle import Frontier

SQLITE = "sqlite:///"
STRANGER = Signer(derived(b"x" * 32))
HASHES = ("leaf_hash", "chain_hash")
NAMES = ("log_index", *COLUMNS, *HASHES)
PLACED = ("audit_event", "audit_content", "audit_event_tool")
TABLES = (*PLACED, "audit_tile", "audit_checkpoint", "audit_tombstone", "audit_quarantine")
UNDER = 400
"""Events under the last checkpoint."""

Entry = dict[str, Any]
Random = random.Random


class Hand:
    """Somebody with all rights; `?` stands for an argument on either engine."""

    def __init__(self, url: str) -> None:
        self.url = url

    def do(self, *statements: str) -> None:
        """Run statements without arguments."""
        for statement in statements:
            self.each(statement, [()])

    def each(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one for each row of arguments."""
        if self.url.startswith(SQLITE):
            with closing(sqlite3.connect(self.url.removeprefix(SQLITE))) as connection, connection:
                connection.execute("PRAGMA ignore_check_constraints = ON")
                connection.executemany(statement, rows)
        else:
            self._served(lambda server: server.executemany(_numbered(statement), [*rows]))

    def ask(self, statement: str) -> list[Entry]:
        """Rows by column name."""
        if self.url.startswith(SQLITE):
            with closing(sqlite3.connect(self.url.removeprefix(SQLITE))) as connection:
                connection.row_factory = sqlite3.Row
                return [dict(row) for row in connection.execute(statement)]
        return [dict(row) for row in self._served(lambda server: server.fetch(statement))]

    def unguard(self) -> None:
        """Put triggers out of the way."""
        if self.url.startswith(SQLITE):
            found = self.ask("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            self.do(*(f"DROP TRIGGER {row['name']}" for row in found))
        else:
            self.do(*(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in TABLES))

    def log(self) -> list[Entry]:
        """The whole log."""
        return self.ask(f"SELECT {', '.join(NAMES)} FROM audit_event ORDER BY log_index")

    def rewrite(self, log: Sequence[Entry], start: int = 0) -> None:
        """Put these rows in place of those from a place on."""
        self.do(f"DELETE FROM audit_event WHERE log_index >= {start}")
        self.insert([row for row in log if row["log_index"] >= start])

    def insert(self, log: Sequence[Entry]) -> None:
        """Put rows in."""
        marks = ", ".join("?" for _ in NAMES)
        statement = f"INSERT INTO audit_event ({', '.join(NAMES)}) VALUES ({marks})"
        self.each(statement, [[row[name] for name in NAMES] for row in log])

    def move(self, places: Callable[[int], int]) -> None:
        """Take content and calls along to where their rows go."""
        content = self.ask("SELECT log_index, subject_id, query, salt FROM audit_content")
        calls = self.ask("SELECT log_index, tool, created_at FROM audit_event_tool")
        for table, rows in (("audit_content", content), ("audit_event_tool", calls)):
            self.do(f"DELETE FROM {table}")
            marks = ", ".join("?" for _ in rows[0])
            moved = [[*{**row, "log_index": places(row["log_index"])}.values()] for row in rows]
            self.each(f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES ({marks})", moved)

    def change(self, place: int, **values: Any) -> None:
        """Change columns of one row."""
        told = ", ".join(f"{name} = ?" for name in values)
        self.each(f"UPDATE audit_event SET {told} WHERE log_index = ?", [(*values.values(), place)])

    def _served(self, work: Callable[[Any], Any]) -> Any:
        async def done() -> Any:
            server = await asyncpg.connect(self.url)
            try:
                return await work(server)
            finally:
                await server.close()

        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(asyncio.run, done()).result()


def _numbered(statement: str) -> str:
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", statement)


def own_leaf(row: Entry) -> bytes:
    return leaf_hash(canonical([row[name] for name in COLUMNS]))


def sealed(log: list[Entry], start: int) -> list[Entry]:
    """Give rows their places, leaves and chains anew from one on."""
    chain = log[start - 1]["chain_hash"] if start else GENESIS
    for place in range(start, len(log)):
        leaf = own_leaf(log[place])
        chain = chain_hash(chain, leaf)
        log[place] |= {"log_index": place, "leaf_hash": leaf, "chain_hash": chain}
    return log


def naive_edit(hand: Hand, dice: Random) -> int:
    at = dice.randrange(UNDER)
    hand.change(at, cost_micros=dice.randrange(2_000_000, 1 << 40))
    return at


def edit_with_its_leaf(hand: Hand, dice: Random) -> int:
    at = dice.randrange(UNDER)
    row = hand.log()[at] | {"role": "CEO"}
    hand.change(at, role="CEO", leaf_hash=own_leaf(row))
    return at


def edit_with_all_after(hand: Hand, dice: Random) -> None:
    at, log = dice.randrange(UNDER), hand.log()
    log[at]["role"] = "CEO"
    hand.rewrite(sealed(log, at), at)


def deletion(hand: Hand, dice: Random) -> int:
    at = dice.randrange(UNDER)
    hand.do(*(f"DELETE FROM {table} WHERE log_index = {at}" for table in PLACED))
    return at


def deletion_with_all_after(hand: Hand, dice: Random) -> None:
    at, log = dice.randrange(UNDER), hand.log()
    del log[at]
    hand.do(*(f"DELETE FROM {table} WHERE log_index = {at}" for table in PLACED[1:]))
    hand.move(lambda place: place - (place > at))
    hand.rewrite(sealed(log, at), at)


def insertion(hand: Hand, dice: Random) -> int:
    log = hand.log()
    row = made_of(log[dice.randrange(UNDER)]) | {"log_index": len(log) + dice.randrange(99)}
    hand.insert([row | {"leaf_hash": own_leaf(row)}])
    return row["log_index"]


def made_of(row: Entry) -> Entry:
    """A row that never was."""
    return {**row, "id": "extra", "commitment": None, "writer": None, "writer_seq": None, "writer_low": None}


def insertion_twice(hand: Hand, dice: Random) -> int:
    """A second row at a place; on SQLite, whose rowids are one each, in the first one's stead."""
    at = dice.randrange(UNDER)
    row = {**hand.log()[at], "id": "extra", "role": "CEO"}
    row["leaf_hash"] = own_leaf(row)
    if hand.url.startswith(SQLITE):
        hand.change(at, id=row["id"], role=row["role"], leaf_hash=row["leaf_hash"])
    else:
        hand.do("ALTER TABLE audit_event DROP CONSTRAINT audit_event_pkey CASCADE")
        hand.insert([row])
    return at


def insertion_with_all_after(hand: Hand, dice: Random) -> None:
    at, log = dice.randrange(UNDER), hand.log()
    log.insert(at, made_of(log[at]))
    hand.move(lambda place: place + (place >= at))
    hand.rewrite(sealed(log, at), at)


def swapped(hand: Hand, dice: Random) -> tuple[list[Entry], int, int]:
    """The log with two rows in each other's place, and what belongs to them too."""
    log = hand.log()
    one, other = sorted(dice.sample(range(UNDER), 2))
    log[one], log[other] = log[other], log[one]
    hand.move(lambda place: {one: other, other: one}.get(place, place))
    return log, one, other


def swap(hand: Hand, dice: Random) -> None:
    log, one, other = swapped(hand, dice)
    for place in (one, other):
        log[place]["log_index"] = place
    hand.rewrite(log)


def swap_with_all_after(hand: Hand, dice: Random) -> None:
    log, one, _ = swapped(hand, dice)
    hand.rewrite(sealed(log, one), one)


def cut(hand: Hand, dice: Random) -> None:
    size = dice.randrange(UNDER)
    hand.do(*(f"DELETE FROM {table} WHERE log_index >= {size}" for table in PLACED))
    hand.do(f"DELETE FROM audit_checkpoint WHERE size > {size}", "DELETE FROM audit_tile")


def rough_cut(hand: Hand, dice: Random) -> None:
    size = dice.randrange(UNDER)
    hand.do(f"DELETE FROM audit_event WHERE log_index >= {size}")


def all_anew(hand: Hand, dice: Random) -> None:
    """Another log altogether, with checkpoints of another key."""
    log = hand.log()
    for row in log:
        row["role"] = dice.choice(["CEO", "CTO"])
    hand.rewrite(sealed(log, 0))
    frontier, notes = Frontier(), hand.ask("SELECT size, created_at FROM audit_checkpoint")
    for row in log:
        frontier.append(row["leaf_hash"])
        for note in (each for each in notes if each["size"] == frontier.size):
            said = Checkpoint(
                "parley/" + "0" * 32, frontier.size, frontier.root(), note["created_at"], frontier.chain
            )
            hand.each(
                "UPDATE audit_checkpoint SET note = ? WHERE size = ?", [(STRANGER.note(said), frontier.size)]
            )


def checkpoint_edited(hand: Hand, dice: Random) -> None:
    kept = dice.choice(hand.ask("SELECT size, note FROM audit_checkpoint"))
    at = dice.randrange(len(kept["note"]))
    other = dice.choice([each for each in "abc\n 1=" if each != kept["note"][at]])
    note = kept["note"][:at] + other + kept["note"][at + 1 :]
    hand.each("UPDATE audit_checkpoint SET note = ? WHERE size = ?", [(note, kept["size"])])


def said_at(hand: Hand, dice: Random) -> int:
    return dice.choice(hand.ask("SELECT log_index FROM audit_content WHERE query IS NOT NULL"))["log_index"]


def text_changed(hand: Hand, dice: Random) -> int:
    at = said_at(hand, dice)
    hand.each("UPDATE audit_content SET query = ? WHERE log_index = ?", [("I never said that", at)])
    return at


def salt_changed(hand: Hand, dice: Random) -> int:
    at = said_at(hand, dice)
    hand.each("UPDATE audit_content SET salt = ? WHERE log_index = ?", [(dice.randbytes(32), at)])
    return at


def text_removed(hand: Hand, dice: Random) -> int:
    at = said_at(hand, dice)
    hand.do(f"DELETE FROM audit_content WHERE log_index = {at}")
    return at


def text_added(hand: Hand, dice: Random) -> int:
    at = dice.choice([row["log_index"] for row in hand.log() if row["commitment"] is None])
    hand.each(
        "INSERT INTO audit_content (log_index, query, salt) VALUES (?, ?, ?)", [(at, "made up", b"s" * 32)]
    )
    return at


def erasure_unannounced(hand: Hand, dice: Random) -> int:
    at = said_at(hand, dice)
    hand.do(f"UPDATE audit_content SET query = NULL, salt = NULL WHERE log_index = {at}")
    return at


def burial_unannounced(hand: Hand, dice: Random) -> int:
    first = dice.randrange(UNDER - 50)
    last, log = first + dice.randrange(50), hand.log()
    leaves = b"".join(row["leaf_hash"] for row in log[first : last + 1])
    hand.each("INSERT INTO audit_tombstone VALUES (?, ?, ?, ?)", [(first, last, leaves, 0)])
    hand.do(*(f"DELETE FROM {table} WHERE log_index BETWEEN {first} AND {last}" for table in PLACED))
    return first


def a_leafs_hash(hand: Hand, dice: Random) -> int:
    at = dice.randrange(UNDER)
    hand.change(at, leaf_hash=hashlib.sha256(dice.randbytes(8)).digest())
    return at


def a_chains_hash(hand: Hand, dice: Random) -> int:
    at = dice.randrange(UNDER)
    hand.change(at, chain_hash=hashlib.sha256(dice.randbytes(8)).digest())
    return at


def other_value(old: Any, dice: Random) -> Any:
    """Another value of the same type; a number where nothing was said."""
    if isinstance(old, bytes):
        return dice.randbytes(32)
    if isinstance(old, int):
        return dice.choice([old + 1, old ^ 1 << dice.randrange(30)])
    return f"x{dice.randrange(1 << 30)}"


TEXTS = (
    "id",
    "entity_type",
    "entity_id",
    "action",
    "subject_id",
    "role",
    "outcome",
    "category",
    "code",
    "model",
)
NUMBERS = (
    "input_tokens",
    "output_tokens",
    "cost_micros",
    "response_time_ms",
    "count",
    "created_at",
    "writer_seq",
    "writer_low",
)


def any_column(hand: Hand, dice: Random) -> int:
    at, name = dice.randrange(UNDER), dice.choice(COLUMNS)
    old = hand.log()[at][name]
    if name == "metadata":
        value = old.replace("1", "2", 1)
    elif name == "commitment":
        value = dice.randbytes(32)
    elif old is None:
        value = 1 if name in NUMBERS else "x"
    else:
        value = (
            dice.choice([other_value(old, dice), None])
            if name in {"role", "model", "code"}
            else other_value(old, dice)
        )
    hand.change(at, **{name: value})
    return at


Attack = Callable[[Hand, Random], int | None]
EXPECTED: dict[Attack, set[str]] = {
    naive_edit: {"altered"},
    edit_with_its_leaf: {"altered"},
    edit_with_all_after: {"altered"},
    deletion: {"deleted"},
    deletion_with_all_after: {"altered", "gap"},
    insertion: {"inserted"},
    insertion_twice: {"inserted", "altered"},
    insertion_with_all_after: {"altered"},
    swap: {"reordered"},
    swap_with_all_after: {"altered"},
    cut: {"replayed", "truncated"},
    rough_cut: {"truncated"},
    all_anew: {"altered"},
    checkpoint_edited: {"altered"},
    text_changed: {"altered"},
    salt_changed: {"altered"},
    text_removed: {"deleted"},
    text_added: {"altered"},
    erasure_unannounced: {"deleted"},
    burial_unannounced: {"deleted"},
    a_leafs_hash: {"altered"},
    a_chains_hash: {"altered"},
    any_column: {"altered", "deleted", "gap"},  # a text may hang on it, or a number
}
