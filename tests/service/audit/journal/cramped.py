"""A process whose journal lies on a disk of its own that is full: says as JSON what became of what.

Refuses to see the machine's disks: run under `unshare -rm`, it mounts a small one at the folder it is given.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from service.audit.journal import Journal, adopt
from service.errors import AuditUnwritable

KEY, LOG = b"k" * 32, "a" * 32
RUNNING = 40


async def main(top: Path) -> dict[str, object]:
    told: dict[str, object] = {}
    journal = Journal.open(top / "journal", KEY, LOG, segment_bytes=256 << 10, reserve_bytes=128 << 10)
    for number in range(RUNNING):
        journal.intend(f"running{number}", b"x" * 1_000)
    ballast = top / "ballast"
    fill(ballast)
    await while_full(journal, top / "journal", told)
    ballast.unlink()
    await after(journal, top / "journal", told)
    return told


async def while_full(journal: Journal, top: Path, told: dict[str, object]) -> None:
    told["refused"] = await refused(journal)
    told["writable when full"] = journal.writable
    told["fault"] = journal.fault
    told["again when full"] = await journal.try_again()
    told["settled"] = [journal.settle(f"running{number}", b"y" * 1_000) for number in range(RUNNING)]
    told["synced when full"] = await journal.synced()
    told["taken"] = len(journal.take(500).rows)
    told["files when full"] = sorted(path.name for path in (top / journal.writer).iterdir())


async def after(journal: Journal, top: Path, told: dict[str, object]) -> None:
    told["again"] = await journal.try_again()
    told["writable"] = journal.writable
    told["files"] = sorted(path.name for path in (top / journal.writer).iterdir())
    journal.intend("after", b"z")
    told["synced"] = await journal.synced()
    await journal.close()
    (estate,) = [(list(e.rows()), list(e.left()), e.damaged) for e in adopt(top, (KEY,), LOG)]
    told["rows"] = len([row for batch in estate[0] for row in batch.rows])
    told["left"] = sorted(left.id for left in estate[1])
    told["damaged"] = estate[2]


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as ballast:
        for size in (4_096, 1):
            try:
                while ballast.write(bytes(size)):
                    pass
            except OSError:
                continue


async def refused(journal: Journal) -> int:
    """How many intents are taken until one is refused; the last block may have room."""
    for number in range(1_000):
        try:
            journal.intend(f"late{number}", b"x" * 1_000)
        except AuditUnwritable:
            return number
    return -1


if __name__ == "__main__":
    place = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], check=True)
    sys.stdout.write(json.dumps(asyncio.run(main(place))))
