"""Every ending, again and again: `python -m tests.faults.endings MINUTES`; adds to var/endings.json.

Each has to leave one row, one ended root span and one settled cost; together they leave no turn, no place,
no money put aside and no connection. Refuses to end well where any round, also of an earlier run, did not.
"""

import asyncio
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
from msgspec import Struct, field

from tests.faults import money
from tests.faults.partings import PARTINGS, SMALL, Guest, Parting, Scene
from tests.faults.speaker import Speaker
from tests.harness.chat import ask
from tests.harness.otlp import Receiver
from tests.harness.service import Service
from tests.harness.waiting import wait

RESULTS = Path("var/endings.json")
EACH, AT_ONCE = 10, 12
SECONDS = 60.0
WITHIN = 0.25
"""Seconds in which the upstream connection is to be closed once the client has left."""
SETTINGS = {
    "AGENT_RATE_LIMIT_ROLES": "AUDITEE=1000",
    "AGENT_BUDGET_USER_DAY_USD": "1000",
    "AGENT_TURN_TIMEOUT_MS": "6000",
    "AGENT_CLIENT_STALL_MS": "600",
    "OTEL_BSP_SCHEDULE_DELAY": "100",
    "OTEL_METRIC_EXPORT_INTERVAL": "500",
    "OTEL_BSP_MAX_QUEUE_SIZE": "20000",
}
PATIENT = {"AGENT_STREAM_RESUME_MS": "500"}
NAME = re.compile(r"#(\w+)")
OK = 200
LOUD = {"WARN", "ERROR"}
"""Levels of a library's line that nobody expects."""
ESTABLISHED, CLOSE_WAIT = "01", "08"


COUNTS = ("played", "rows", "spans", "settled")


class Tally(Struct):
    """What came of one parting, over all rounds."""

    played: int = 0
    rows: int = 0
    spans: int = 0
    settled: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)


class Results(Struct):
    """All rounds: tallies by parting, how many upstream connections closed in how many milliseconds."""

    rounds: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)
    closed_ms: dict[int, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Stage:
    """Two services, one that waits for lost streams and one that does not, and the API that both ask."""

    def __init__(self, cwd: Path, speaker: Speaker, receiver: Receiver, results: Results) -> None:
        self._speaker, self._receiver, self.results = speaker, receiver, results
        settings = SETTINGS | speaker.settings | receiver.settings()
        self.services = {
            patient: Service(_made(cwd / str(patient)), settings | (PATIENT if patient else {}))
            for patient in (False, True)
        }
        self._played: dict[str, Parting] = {}

    def warm(self) -> None:
        """Ask each service until it answers: the first question of a process takes longer than any other."""
        for service in self.services.values():
            wait(lambda service=service: ask(service, "[whole] #warm").status_code == OK, SECONDS)

    async def play(self, parting: Parting) -> None:
        """Play one to its end."""
        service, name = self.services[parting.patient], secrets.token_hex(6)
        heard, buffer = self._speaker.of(name), SMALL if parting.small else None
        self._played[name] = parting

        def guest() -> Guest:
            return Guest(service.url, service.api_key, buffer=buffer)

        async with guest() as first:
            await first.ask({"message": f"[{parting.way}] #{name}", "stream": parting.streamed})
            left = await parting.play(Scene(first, heard, guest, parting.streamed))
        if left is not None:
            await self._measure(name, left)

    async def _measure(self, name: str, left: float) -> None:
        heard = self._speaker.of(name)
        async with asyncio.timeout(SECONDS):
            while heard.open:  # noqa: ASYNC110 - a number, and nobody waits for it but here
                await asyncio.sleep(0.005)
        after = max(0, round((max(heard.closed) - left) * 1000))
        self.results.closed_ms[after] = self.results.closed_ms.get(after, 0) + 1

    def judge(self) -> None:
        """Hold what every service says against what was played; blocks until all of it is told."""
        for patient, service in self.services.items():
            played = {name: each for name, each in self._played.items() if each.patient is patient}
            self._count(played, service)
            self._look_for_leftovers(service)
            assert service.stop() == 0
            self.results.faults += money.faults(f"sqlite:///{service.cwd}/var/parley.db")
            self.results.faults += [str(line) for line in service.lines(type="log") if line["level"] in LOUD]
        self.results.faults += _unequal(self.results.tallies)
        self.results.rounds += 1

    def _count(self, names: Mapping[str, Parting], service: Service) -> None:
        rows = wait(lambda: _rows(service, names), SECONDS, seen=service.said)
        spans = self._spans([row["entityId"] for row in rows])
        for row in rows:
            parting = names[_name(row)]
            tally = self.results.tallies.setdefault(parting.name, Tally())
            tally.rows += 1
            tally.spans += spans.count(row["entityId"])
            tally.settled += row["metadata"]["budget"]["chargedMicros"] == row["costMicros"]
            tally.outcomes[row["outcome"]] = tally.outcomes.get(row["outcome"], 0) + 1
            if row["outcome"] not in parting.outcomes:
                self.results.faults.append(f"{parting.name}: {row['outcome']}, {row['code']}")
        for parting in names.values():
            self.results.tallies.setdefault(parting.name, Tally()).played += 1

    def _spans(self, turn_ids: Sequence[str]) -> list[str]:
        """The turn of each root span that has ended: there is to be one for each turn."""

        def found() -> list[str]:
            roots = [span for span in self._receiver.spans() if span.kind == "SERVER"]
            return [
                str(each.attributes.get("parley.turn.id")) for each in roots if each.name.startswith("POST")
            ]

        wait(lambda: set(turn_ids) <= set(found()), seen=lambda: f"{len(found())} of {len(turn_ids)}")
        return found()

    def _look_for_leftovers(self, service: Service) -> None:
        """Nothing may be left; what is after a while is counted."""
        left: dict[str, int] = {}

        def nothing() -> bool:
            left.update(self._left(service))
            return not any(left.values())

        try:
            wait(nothing, SECONDS)
        except AssertionError:
            self.results.faults.append(f"left behind: {left}")
        for kind, number in left.items():
            self.results.left[kind] = self.results.left.get(kind, 0) + number

    def _left(self, service: Service) -> dict[str, int]:
        standing = _standing(service)
        running = next(each for each in standing["policies"] if each["name"] == "concurrency")
        return {
            "turns": self._active(),
            "places": running["limit"] - running["remaining"],
            "connections of clients": _connections(service),
            "connections upstream": self._speaker.open,
        }

    def _active(self) -> int:
        return int(sum(point.value or 0 for point in self._receiver.points("parley.turns.active")))


def run(cwd: Path, partings: Sequence[Parting], each: int, results: Results) -> None:
    """Play every parting so many times, several at once and in any order, and judge."""
    speaker = Speaker()
    for parting in partings:  # the table's order
        results.tallies.setdefault(parting.name, Tally())
    with Receiver() as receiver:
        asyncio.run(_run(cwd, speaker, receiver, partings, each, results))


async def _run(
    cwd: Path,
    speaker: Speaker,
    receiver: Receiver,
    partings: Sequence[Parting],
    each: int,
    results: Results,
) -> None:
    async with speaker.listening():
        stage = Stage(cwd, speaker, receiver, results)
        with ExitStack() as started:
            for service in stage.services.values():
                await asyncio.to_thread(started.enter_context, service)
            await asyncio.to_thread(stage.warm)
            await _play_all(stage, [parting for parting in partings for _ in range(each)])
            await asyncio.to_thread(stage.judge)


async def _play_all(stage: Stage, partings: list[Parting]) -> None:
    secrets.SystemRandom().shuffle(partings)
    places = asyncio.Semaphore(AT_ONCE)

    async def one(parting: Parting) -> None:
        async with places:
            try:
                await stage.play(parting)
            except (AssertionError, OSError, TimeoutError) as error:
                stage.results.faults.append(f"{parting.name}: {error!r}"[:500])

    await asyncio.gather(*map(one, partings))


def _rows(service: Service, names: Mapping[str, Parting]) -> list[dict[str, Any]]:
    """Rows of those that were played, once there are as many."""
    rows = [row for row in service.rows() if _name(row) in names]
    return rows if len(rows) >= len(names) else []


def _name(row: Mapping[str, Any]) -> str:
    return NAME.findall(row["metadata"]["query"])[0]


def _unequal(tallies: Mapping[str, Tally]) -> Iterator[str]:
    for name, tally in tallies.items():
        if len({getattr(tally, what) for what in COUNTS}) > 1:
            yield f"{name}: {tally}"


def _standing(service: Service) -> Any:
    headers = {"authorization": f"Bearer {service.api_key}", "connection": "close"}
    return httpx.get(f"{service.url}/api/v1/limits", headers=headers, trust_env=False, timeout=SECONDS).json()


def _connections(service: Service) -> int:
    """Connections of clients that the system still has open on the service's side."""
    port = f":{httpx.URL(service.url).port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(port) and line[3] in {ESTABLISHED, CLOSE_WAIT} for line in lines)


def _made(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def table(results: Results) -> str:
    """Everything so far, in words."""
    return "\n".join(_table(results))


def _table(results: Results) -> Iterator[str]:
    yield f"{'ending':28}" + "".join(f"{what:>8}" for what in COUNTS) + "  outcomes"
    for name, tally in results.tallies.items():
        outcomes = ", ".join(f"{number} {outcome}" for outcome, number in sorted(tally.outcomes.items()))
        yield f"{name:28}" + "".join(f"{getattr(tally, what):>8}" for what in COUNTS) + f"  {outcomes}"
    sums = (sum(getattr(each, what) for each in results.tallies.values()) for what in COUNTS)
    yield f"{'all':28}" + "".join(f"{number:>8}" for number in sums)
    yield f"upstream closed: {_closed(results.closed_ms)}"
    yield "left: " + ", ".join(f"{number} {kind}" for kind, number in results.left.items())
    yield f"rounds: {results.rounds}, faults: {len(results.faults)}"
    yield from results.faults


def _closed(by_ms: Mapping[int, int]) -> str:
    """Of how many, the 99th percentile, the longest, and how many took longer than they should."""
    times = sorted(ms for ms, number in by_ms.items() for _ in range(number))
    if not times:
        return "none"
    late = sum(ms > WITHIN * 1000 for ms in times)
    figures = f"p99 {times[len(times) * 99 // 100]} ms, longest {times[-1]} ms, {late} later than 250 ms"
    return f"{len(times)}, {figures}"


def main(minutes: float) -> int:
    """Rounds until the time is over; 1 where there are faults."""
    results = Results()
    if RESULTS.exists():
        results = msgspec.json.decode(RESULTS.read_bytes(), type=Results)
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory(prefix="endings-") as folder:
            run(Path(folder), PARTINGS, EACH, results)
        RESULTS.parent.mkdir(exist_ok=True)
        new = RESULTS.with_suffix(".new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
        new.rename(RESULTS)
    sys.stdout.write(table(results) + "\n")
    return 1 if results.faults else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
