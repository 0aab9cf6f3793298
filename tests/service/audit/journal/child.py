"""A process that writes a journal or adopts one, and says on stdout what it was promised, line by line.

Refuses to go on when the test that started it is gone: its stdout is closed then.

`write TOP`: `I id` an intent on the disk, `R id` a row on the disk, `C id` a row committed, then it waits.
`adopt TOP`: `R id` and `O id` as they are committed, `D writer` when an estate is done.
"""

import asyncio
import resource
import sys
from pathlib import Path

from service.audit.journal import Journal, adopt
from service.errors import AuditUnwritable

KEY, LOG = b"k" * 32, "a" * 32
SIZE = 300


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def row(name: str) -> bytes:
    return f"row of {name}".encode()


async def write(top: Path) -> None:
    journal = Journal.open(top, KEY, LOG, segment_bytes=2_000, reserve_bytes=8_192)
    journal.share("shared", b"shared")
    for number in range(20):
        await turn(journal, f"a{number}")
        journal.add("shared")
    commit(journal)
    await fill(journal)
    say("T", str(await journal.try_again()))
    for number in range(20):
        await turn(journal, f"b{number}")
        if number % 5 == 0:
            commit(journal)
    for name in ("filler", "a0", "b0"):
        journal.settle(name, row(name))
    say("S", str(await journal.synced()))
    sys.stdin.readline()
    journal.settle("shared", row("shared"))
    for name in [*(f"a{n}" for n in range(0, 20, 4)), *(f"b{n}" for n in range(0, 20, 4))]:
        journal.settle(name, row(name))
    commit(journal)
    await journal.close()


async def turn(journal: Journal, name: str) -> None:
    """An intent and its row; of every fourth only the intent."""
    journal.intend(name, name.encode() * SIZE)
    if await journal.synced():
        say("I", name)
    if int(name[1:]) % 4 and journal.settle(name, row(name)) and await journal.synced():
        say("R", name)


async def fill(journal: Journal) -> None:
    """Let no file grow: what runs is settled in the reserve, what is new is refused."""
    journal.intend("filler", b"x" * 3_000)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_500, hard))
    for name in ("a4", "a8"):
        if journal.settle(name, row(name)) and await journal.synced():
            say("R", name)
    try:
        journal.intend("refused", b"x")
    except AuditUnwritable:
        say("U", "refused")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def commit(journal: Journal) -> None:
    while (batch := journal.take(7)).rows:
        for taken in batch.rows:
            say("C", taken.id)
        journal.release(batch)


def inherit(top: Path) -> None:
    for estate in adopt(top, (KEY,), LOG):
        for batch in estate.rows(3):
            for taken in batch.rows:
                say("R", taken.id, taken.content.decode())
            estate.forget(batch.upto)
        for left in estate.left():
            say("O", left.id, str(left.count))
        estate.done()
        say("D", estate.writer)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        asyncio.run(write(Path(sys.argv[2])))
    else:
        inherit(Path(sys.argv[2]))
