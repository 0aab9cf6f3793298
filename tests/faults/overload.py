"""Ten times as many requests as are answered: `python -m tests.faults.overload MINUTES`, or `make overload`.

First as many callers as there are places, which is the most that can be answered; then callers who do not
wait for answers, all but one of whom ask far too often. Refuses to judge times: requests, answers and rows
are counted.
"""

import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, field

from tests.harness.plain import Caller, Heard, model_api
from tests.harness.service import Service
from tests.harness.waiting import wait

RESULTS = Path("var/overload.json")
PLACES, THINKING = 16, 0.8
TIMES = 10
FLOODING = 3
"""Callers who ask too often, beside one who does not."""
QUIET_SECONDS = 0.5
"""Between the questions of the one who does not."""
PEAK_SHARE = 0.25
"""Part of the time in which the most that can be answered is measured."""
SETTINGS = {
    "AGENT_MAX_TURNS": str(PLACES),
    "AGENT_RATE_LIMIT_WINDOW_MS": "1000",
    "AGENT_RATE_LIMIT_ROLES": "AUDITEE=1000",
    "ANTHROPIC_API_KEY": "overload",
}
SAMPLE_SECONDS = 0.5
OK = 200
WAITED = re.compile(rb"waited for ([0-9]+) ms")


class Figures(Struct):
    """What a run came to. Rates are per second, times milliseconds, memory MiB."""

    seconds: float = 0.0
    peak: float = 0.0
    offered: float = 0.0
    goodput: float = 0.0
    answers: dict[str, int] = field(default_factory=dict)
    """By status, or the code of a refusal; `none` is no answer."""
    rows: int = 0
    quiet: dict[str, int] = field(default_factory=dict)
    """The same of the one caller who does not flood."""
    refused_p50: float = 0.0
    refused_p99: float = 0.0
    refused_worst: float = 0.0
    late: int = 0
    """Refusals that took longer than 50 ms, time in the queue apart."""
    waited: int = 0
    """Refusals of those who stood in the queue: who lost a place in it, and who waited in vain."""
    waited_worst: float = 0.0
    memory: list[float] = field(default_factory=list)
    """At the beginning of the overload, at its middle, its end; and the most."""
    cpu: float = 0.0
    """Processor seconds of the service per second of the overload."""
    load: float = 0.0
    """The machine's, over a minute."""

    def told(self) -> str:
        """In words."""
        share = 100 * self.goodput / self.peak if self.peak else 0.0
        return (
            f"peak {self.peak:.1f}/s, offered {self.offered:.0f}/s for {self.seconds:.0f} s: answered "
            f"{self.goodput:.1f}/s, {share:.0f} % of the peak\n{self.answers}, rows {self.rows}\n"
            f"refused: p50 {self.refused_p50:.1f}, p99 {self.refused_p99:.1f}, worst "
            f"{self.refused_worst:.0f} ms, {self.late} later than 50 ms; {self.waited} of them after "
            f"having waited, {self.waited_worst:.0f} ms at most\nthe quiet caller: {self.quiet}\n"
            f"memory {self.memory} MiB, cpu {self.cpu:.2f} s/s, load {self.load:.1f}"
        )


class Flood:
    """A service, its callers, and what they hear."""

    def __init__(self, service: Service) -> None:
        self.service, self.caller = service, Caller(service.url)
        self.heard: list[tuple[str, str, float]] = []
        self.waits: list[float] = []
        self.keys = {f"caller-{number}": self._key(f"caller-{number}") for number in range(FLOODING)}
        self.quiet = self._key("quiet")

    def _key(self, user: str) -> str:
        made = self.service.cli("keys", "create", "--user", user, "--role", "AUDITEE", "--json")
        return json.loads(made.stdout)["key"]

    async def ask(self, who: str, key: str) -> None:
        """One question, whatever becomes of it."""
        try:
            heard = await self.caller.ask(key, "How much?")
        except (OSError, asyncio.IncompleteReadError):
            self.heard.append((who, "none", 0.0))
        else:
            self.heard.append((who, word_of(heard), heard.seconds - self._waited(heard)))

    def _waited(self, heard: Heard) -> float:
        """Seconds in the queue before a place was refused after all; a refusal says so itself."""
        found = WAITED.search(heard.body)
        if heard.status == OK or not found:
            return 0.0
        self.waits.append(int(found[1]) / 1000)
        return self.waits[-1]

    async def peak(self, seconds: float) -> float:
        """As many who ask one question after the other as there are places; answers a second."""
        before, until = len(self.heard), time.perf_counter() + seconds
        users = list(self.keys.items())

        async def ask_on(number: int) -> None:
            while time.perf_counter() < until:
                await self.ask(*users[number % len(users)])

        began = time.perf_counter()
        await asyncio.gather(*(ask_on(number) for number in range(PLACES)))
        return self.answered(before) / (time.perf_counter() - began)

    async def overload(self, rate: float, seconds: float) -> None:
        """So many questions a second, whatever becomes of the ones before."""
        users, tasks = list(self.keys.items()), set[asyncio.Task[None]]()
        began = quiet = time.perf_counter()
        number = 0
        while (now := time.perf_counter()) < began + seconds:
            while number < (now - began) * rate:
                _start(tasks, self.ask(*users[number % len(users)]))
                number += 1
            if now >= quiet:
                quiet += QUIET_SECONDS
                _start(tasks, self.ask("quiet", self.quiet))
            await asyncio.sleep(0.002)
        await asyncio.gather(*tasks)

    def answered(self, since: int) -> int:
        """Answers since so many were heard."""
        return sum(word == "200" for _, word, _ in self.heard[since:])


def _start(tasks: set[asyncio.Task[None]], work: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def word_of(heard: Heard) -> str:
    """The status, or the code of a problem."""
    return str(heard.status) if heard.status == OK else json.loads(heard.body)["code"]


class Watched:
    """Memory and processor time of a process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.memory: list[float] = []

    async def look(self) -> None:
        """Sample its memory until cancelled."""
        while True:
            self.memory.append(round(self.resident(), 1))
            await asyncio.sleep(SAMPLE_SECONDS)

    def resident(self) -> float:
        """MiB now."""
        pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def cpu(self) -> float:
        """Seconds so far."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def flood(cwd: Path, seconds: float) -> Figures:
    """Run one service through it."""
    async with model_api(THINKING) as url:
        with Service(cwd, SETTINGS | {"ANTHROPIC_BASE_URL": url}) as service:
            return await _flooded(Flood(service), seconds)


async def _flooded(flood: Flood, seconds: float) -> Figures:
    await asyncio.gather(*(flood.ask("caller-0", flood.keys["caller-0"]) for _ in range(PLACES)))
    figures = Figures(peak=await flood.peak(seconds * PEAK_SHARE), load=os.getloadavg()[0])
    watched, since, began = Watched(flood.service.pid), len(flood.heard), time.perf_counter()
    looking, cpu = asyncio.create_task(watched.look()), watched.cpu()
    figures.offered = TIMES * figures.peak
    await flood.overload(figures.offered, seconds * (1 - PEAK_SHARE))
    figures.seconds = time.perf_counter() - began
    looking.cancel()
    figures.cpu = (watched.cpu() - cpu) / figures.seconds
    figures.goodput = flood.answered(since) / figures.seconds
    figures.memory = [watched.memory[at] for at in (0, len(watched.memory) // 2, -1)] + [max(watched.memory)]
    _count(figures, flood, since)
    return figures


def _count(figures: Figures, flood: Flood, since: int) -> None:
    """Requests, answers and rows; the service is started anew for the last of them."""
    figures.answers = dict(Counter(word for _, word, _ in flood.heard))
    figures.quiet = dict(Counter(word for who, word, _ in flood.heard if who == "quiet"))
    refused = sorted(took * 1_000 for _, word, took in flood.heard[since:] if word == "overloaded")
    if refused:
        figures.refused_p50 = refused[len(refused) // 2]
        figures.refused_p99 = refused[len(refused) * 99 // 100]
        figures.refused_worst = refused[-1]
        figures.late = sum(took > 50 for took in refused)
        figures.waited = len(flood.waits)
        figures.waited_worst = max(flood.waits, default=0.0) * 1000
    flood.caller.close()
    assert flood.service.stop() == 0, flood.service.said()[-3_000:]
    flood.service.start()  # what there was no time to write is in the journal
    with suppress(AssertionError):
        wait(lambda: _rows(flood.service) >= len(flood.heard))
    figures.rows = _rows(flood.service)


def _rows(service: Service) -> int:
    return sum(row["count"] for row in service.rows())


def campaign(minutes: float) -> int:
    """One long run, whose figures are added to the file of all."""
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(flood(Path(folder), minutes * 60))
    sys.stdout.write(figures.told() + "\n")
    RESULTS.parent.mkdir(exist_ok=True)
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    runs.append({name: getattr(figures, name) for name in Figures.__struct_fields__})
    RESULTS.write_text(json.dumps(runs, indent=2) + "\n")
    return 0 if sum(figures.answers.values()) == figures.rows else 1


if __name__ == "__main__":
    sys.exit(campaign(float(sys.argv[1])))
