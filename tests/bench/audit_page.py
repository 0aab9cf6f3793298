"""How long the console's audit list takes as the log grows: `python -m tests.bench.audit_page [ENGINE ...]`.

`SIZES` are the numbers of events (100, 100,000, 1,000,000), `LOADS` how often each page is loaded (50). The
service runs whole and the pages are asked for over HTTP; a table goes to stdout.
Refuses to keep anything: databases are in folders of their own, which go at the end.
"""

import asyncio
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import httpx

from service.store.database import open_database
from tests.bench import audit_growth as growth
from tests.harness.service import Service
from tests.harness.sql import ask
from tests.service.auth.mint import SECRET, Mint

SIZES = [int(each) for each in (os.environ.get("SIZES") or "100 100000 1000000").split()]
LOADS = int(os.environ.get("LOADS") or "50")
LIST = "/console/audit"
DEEP = 20
"""Pages that are turned before the deep one; where the log is shorter, its last."""
PAGES: Mapping[str, str] = {
    "first page": "?entityType=all",
    "first page of queries": "",
    "by user, busy": "?actor=user-1",
    "by user, rare": "?actor=rare",
    "by outcome, common": "?outcome=failed",
    "by outcome, rare": "?outcome=interrupted",
    "by code, common": "?code=upstream_timeout",
    "by code, rare": "?code=internal",
    "by words, rare": "?q=needle",
    "the last hour": "?from={from}",
    "deep page": "?entityType=all&to={middle}",
}
ROWS = re.compile(r'<td role="cell" class="when">')
OLDER = re.compile(r'href="([^"]*)" rel="next"')


async def fill(url: str, size: int) -> None:
    """Fill a database as the service does."""
    growth.SIZE = size
    database = await open_database(url, busy_timeout_ms=60_000)
    chance = growth.random.Random(1)
    for start in range(0, size, growth.BATCH):
        count = min(growth.BATCH, size - start)
        await database.audit.append([growth.row(start + number, chance) for number in range(count)])
    await database.close()
    if not url.startswith("sqlite"):
        ask(url, "VACUUM ANALYZE")  # what the server does by itself after a while


@contextmanager
def visited(url: str) -> Iterator[httpx.Client]:
    """A service on a database, and a client with the cookie of somebody who may see content."""
    cookie = Mint("HS256").token(sub="head", role="AUDIT_HEAD")
    with tempfile.TemporaryDirectory(prefix="parley-page-") as folder:
        settings = {"AGENT_JWT_SECRET": SECRET, "DATABASE_URL": url}
        with (
            Service(Path(folder), settings) as service,
            httpx.Client(
                base_url=service.url, headers={"cookie": f"session={cookie}"}, trust_env=False
            ) as asked,
        ):
            asked.headers["cookie"] = f"session={cookie}"
            yield asked


def load(client: httpx.Client, path: str) -> tuple[float, int, str]:
    """Load a page; milliseconds, rows, and the page."""
    begun = time.perf_counter()
    answer = client.get(path, timeout=60)
    taken = (time.perf_counter() - begun) * 1_000
    assert answer.status_code == 200, (path, answer.status_code, answer.text[-500:])
    return taken, len(ROWS.findall(answer.text)), answer.text


def address(page: str, size: int) -> str:
    """A page's address in a log of so many events."""
    last, middle = growth.CREATED_AT + size * growth.SECOND, growth.CREATED_AT + size // 2 * growth.SECOND
    return LIST + page.replace("{from}", moment(last - 3_600 * growth.SECOND)).replace(
        "{middle}", moment(middle)
    )


def moment(microseconds: int) -> str:
    """As the form writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(microseconds // growth.SECOND))


def deeper(client: httpx.Client, path: str) -> str:
    """Turn pages, as far as there are any."""
    for _ in range(DEEP):
        found = OLDER.search(load(client, path)[2])
        if not found:
            break
        path = unescape(found[1])
    return path


def measure(client: httpx.Client, size: int) -> Iterator[tuple[str, Sequence[float], int]]:
    """Each page: its name, the milliseconds of all its loads, and its rows."""
    for name, page in PAGES.items():
        path = address(page, size)
        path = deeper(client, path) if name == "deep page" else path
        load(client, path)
        loads = [load(client, path) for _ in range(LOADS)]
        yield name, [each[0] for each in loads], loads[0][1]


def main(engines: Sequence[str]) -> None:
    """Measure each engine at each size."""
    for engine in engines or ("sqlite", "postgres"):
        for size in SIZES:
            with growth.place(engine) as url:
                asyncio.run(fill(url, size))
                with visited(url) as client:
                    tell(engine, size, [*measure(client, size)])


def tell(engine: str, size: int, found: Sequence[tuple[str, Sequence[float], int]]) -> None:
    """Print one table."""
    sys.stdout.write(f"\n{engine}, {size:,} events, {LOADS} loads each\n\n")
    sys.stdout.write("| page | fastest ms | median ms | slowest ms | rows |\n|---|---:|---:|---:|---:|\n")
    for name, taken, rows in found:
        figures = min(taken), statistics.median(taken), max(taken)
        sys.stdout.write(f"| {name} | {' | '.join(f'{each:.1f}' for each in figures)} | {rows} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
