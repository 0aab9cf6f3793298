"""Transactions on one connection, each under the lock of the database file from before it until after it.

Refuses deferred transactions, and work in one that the database has undone by itself.
"""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from service import failpoint
from service.errors import DatabaseError
from service.store.engine import UNDONE
from service.store.sqlite.connection import Locking
from service.store.sqlite.faults import LOCKED

T = TypeVar("T")


def begin(connection: sqlite3.Connection) -> None:
    """Open a transaction that holds the write lock from its start, so that it cannot fail to get it later."""
    roll_back(connection)
    _lock(connection)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except BaseException:
        _unlock(connection)
        raise


def commit(connection: sqlite3.Connection) -> None:
    """Make the transaction's changes last."""
    failpoint.reached("store.commit.before")
    connection.execute("COMMIT")
    failpoint.reached("store.commit.after")
    _unlock(connection)  # only now: the commit may have made a checkpoint too


def roll_back(connection: sqlite3.Connection) -> None:
    """Undo the open transaction, where there is one."""
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    finally:
        _unlock(connection)


def immediately(work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    """Do the work in a transaction of its own: all of it lasts or nothing."""
    begin(connection)
    try:
        result = work(connection)
        commit(connection)
    except BaseException:
        roll_back(connection)
        raise
    return result


def inside(work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    """Do the work in the transaction that is open."""
    # SQLite rolls back by itself on some errors (disk full); what followed would each last on its own.
    if not connection.in_transaction:
        raise DatabaseError(UNDONE)
    return work(connection)


def alone(work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    """Do work that opens transactions or checkpoints by itself, such as VACUUM."""
    roll_back(connection)
    _lock(connection)
    try:
        # VACUUM copies the whole file, and memory may have no room for it.
        connection.execute("PRAGMA temp_store = FILE")
        return work(connection)
    finally:
        roll_back(connection)
        connection.execute("PRAGMA temp_store = MEMORY")


def _lock(connection: sqlite3.Connection) -> None:
    if isinstance(connection, Locking) and not connection.lock.take():
        raise DatabaseError(LOCKED)


def _unlock(connection: sqlite3.Connection) -> None:
    if isinstance(connection, Locking):
        connection.lock.release()
