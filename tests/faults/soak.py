"""Steady traffic with all faults at random: `python -m tests.faults.soak MINUTES [SEED]`, or `make soak`.

The model's API, both networks, clients, database and limiter go wrong, and the service is stopped and
started under its callers. Adds to var/soak.json; refuses to end well where any round ever did not.
"""

import asyncio
import contextlib
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
from msgspec import Struct, field

from service.app.leaving import UNSENT, WORDS
from tests.faults import vitals
from tests.faults.accounts import Account, judge
from tests.faults.crowd import Crowd
from tests.faults.outages import Outages
from tests.faults.traffic import SCRIPTS, model_fate
from tests.faults.upstream import Upstream
from tests.faults.vitals import Pulse, Vitals
from tests.faults.weather import Weather
from tests.harness.otlp import Receiver
from tests.harness.service import Service

RESULTS = Path("var/soak.json")
PATIENCE = 90.0
WARM, LIFE = 3.0, 4.0
"""Seconds of traffic before anything is measured, and before each stop under it."""
A_RESTART = 30.0
"""Seconds of a round for which there is one stop more."""
GROWTH = 64.0
"""MiB of growth within one life that is gross, whatever the traffic was."""
SETTINGS = {
    "ANTHROPIC_API_KEY": "soaked",
    "AGENT_RATE_LIMIT_ROLES": "AUDITEE=1000,GUEST=2",
    "AGENT_RATE_LIMIT_WINDOW_MS": "1000",
    "AGENT_BUDGET_USER_DAY_USD": "10000",
    "AGENT_MODEL_FIRST_EVENT_TIMEOUT_MS": "1200",
    "AGENT_MODEL_EVENT_TIMEOUT_MS": "1200",
    "AGENT_MODEL_BREAKER": "false",
    "AGENT_TURN_TIMEOUT_MS": "5000",
    "AGENT_CLIENT_STALL_MS": "600",
    "AGENT_STREAM_RESUME_MS": "500",
    "AGENT_SHUTDOWN_GRACE_MS": "2000",
    "OTEL_BSP_SCHEDULE_DELAY": "100",
    "OTEL_METRIC_EXPORT_INTERVAL": "500",
    "OTEL_BSP_MAX_QUEUE_SIZE": "100000",
}


class Round(Struct):
    """One round: what was asked and found, and what the long life of it had at its quarters and at rest."""

    seed: int
    database: str
    seconds: float = 0.0
    account: Account = field(default_factory=Account)
    met: dict[str, int] = field(default_factory=dict)
    outages: dict[str, int] = field(default_factory=dict)
    memory: tuple[float, float] = (0.0, 0.0)
    course: list[float] = field(default_factory=list)
    """Of memory: the medians of twelve parts of that life."""
    per_hour: float = 0.0
    busy: dict[str, tuple[float, float]] = field(default_factory=dict)
    idle: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Before the traffic, and after it."""
    faults: list[str] = field(default_factory=list)


class Stage:
    """A service with weather on both sides of it."""

    def __init__(self, cwd: Path, seed: int, outages: Outages, receiver: Receiver) -> None:
        self.receiver, self.outages, self._tasks = receiver, outages, cwd / "tasks"
        self.sky = Weather(lambda name, times: model_fate(seed, name, times))
        self.crowd = Crowd(seed)
        self.service = Service(
            cwd, SETTINGS | receiver.settings() | vitals.settings(self._tasks) | outages.settings
        )

    @contextlib.asynccontextmanager
    async def open(self, upstream: Upstream) -> AsyncGenerator[None]:
        """Start all of it."""
        self.sky.target = upstream.port
        async with self.sky.listening(), self.crowd.door.listening():
            self.service.settings["ANTHROPIC_BASE_URL"] = self.sky.url
            try:
                await self.start()
                await asyncio.to_thread(self.crowd.enrol, self.service)
                yield
            finally:
                await asyncio.to_thread(self.service.kill)

    async def start(self) -> None:
        """Start the service, and lead its callers to it."""
        await asyncio.to_thread(self.service.start)
        self.crowd.door.target = int(self.service.url.rpartition(":")[2])

    async def restart(self) -> None:
        """Stop it as a supervisor does, and start it again; callers go on meanwhile."""
        code = await asyncio.to_thread(self.service.stop)
        assert code == 0 or hurried(self.service), f"exit code {code} {self.service.said()[-2000:]}"
        await self.start()

    def pulse(self) -> Pulse:
        """Of the process that runs now."""
        return Pulse(self.service.pid, self._tasks, {self.sky.port, *self.outages.ports})

    async def rest(self, least: Vitals | None) -> tuple[Vitals, str]:
        """Wait until nothing goes on, and there is no more than there was; give what there is and is left."""
        pulse, end = self.pulse(), time.monotonic() + PATIENCE
        while True:
            now = pulse.now()
            left = self._left(now, least)
            if not left or time.monotonic() > end:
                return now, left
            await asyncio.sleep(0.1)

    def _left(self, now: Vitals, least: Vitals | None) -> str:
        sums = {
            name: sum(point.value or 0 for point in self.receiver.points(f"parley.{name}"))
            for name in ("turns.active", "audit.journaled", "audit.balance")
        }
        more = {kind: getattr(now, kind) for kind in vitals.KINDS if least and _more(now, least, kind)}
        left = {name: value for name, value in {**sums, **more}.items() if value}
        doors = self.crowd.door.open
        return f"{left}, {doors} connections; {least}" if left or doors else ""


def _more(now: Vitals, least: Vitals, kind: str) -> bool:
    return getattr(now, kind) > getattr(least, kind)


def run(cwd: Path, seed: int, seconds: float, database: str) -> Round:
    """One round of about so many seconds on `sqlite` or `postgres`."""
    told = Round(seed=seed, database=database)
    with ExitStack() as rooms:
        receiver, upstream = rooms.enter_context(Receiver()), rooms.enter_context(Upstream(SCRIPTS))
        outages = rooms.enter_context(Outages(cwd, seed, database))
        asyncio.run(_run(Stage(cwd, seed, outages, receiver), upstream, told, seconds))
    return told


async def _run(stage: Stage, upstream: Upstream, told: Round, seconds: float) -> None:
    began = time.monotonic()
    async with stage.open(upstream):
        async with stage.crowd.asking():  # pools fill, and what is loaded late is loaded
            await asyncio.sleep(max(WARM, seconds / 10))
        await _long_life(stage, told, seconds)
        async with stage.crowd.asking():
            for _ in range(1 + int(seconds / A_RESTART)):
                await asyncio.sleep(LIFE)
                await stage.restart()
        _, left = await stage.rest(None)
        told.faults += [f"left at the end: {left}"] if left else []
        await asyncio.to_thread(_judge, stage, told)
    told.seconds = round(time.monotonic() - began, 1)


async def _long_life(stage: Stage, told: Round, seconds: float) -> None:
    before, left = await stage.rest(None)
    told.faults += [f"left before: {left}"] if left else []
    pulse = stage.pulse()
    feeling = asyncio.create_task(pulse.feel())
    async with stage.crowd.asking(), stage.outages.happening():
        await asyncio.sleep(seconds)
        feeling.cancel()
    after, left = await stage.rest(before)
    told.faults += [f"left behind: {left}"] if left else []
    memory = [each.memory for each in pulse.seen]
    told.course = vitals.course(memory)
    told.memory, told.per_hour = vitals.quarters(memory), vitals.slope(memory) / vitals.EVERY * 3600
    for kind in vitals.KINDS:
        told.busy[kind] = vitals.quarters([getattr(each, kind) for each in pulse.seen])
        told.idle[kind] = getattr(before, kind), getattr(after, kind)
    told.faults += _grown(told)


def _grown(told: Round) -> Iterator[str]:
    """Memory that grew grossly, and counts that doubled while the traffic was the same."""
    first, last = told.memory
    if last > first + GROWTH:
        yield f"memory grew from {first} to {last} MiB"
    for kind, (before, after) in told.busy.items():
        if after > 2 * before + 16:
            yield f"{kind} grew from {before} to {after}"


def hurried(service: Service) -> bool:
    """Whether a stop took its last resort, as where it gets no processor: no row is lost by it."""
    return any(WORDS.strip() in line for line in service.process.stderr)


def unsent(service: Service) -> bool:
    """Whether any life of it said that telemetry was cut short."""
    return any(words.strip() in service.stderr for words in (WORDS, UNSENT))


def _judge(stage: Stage, told: Round) -> None:
    """Hold what was heard against rows and spans, once the service has ended."""
    while stage.service.stop() != 0:
        assert hurried(stage.service), stage.service.said()[-2000:]
        stage.service.start()  # it brings in what the journal has
    told.account, faults = judge(stage.service, stage.receiver, stage.crowd, unsent=unsent(stage.service))
    told.met = dict(stage.crowd.door.met + stage.sky.met)
    told.outages = dict(stage.outages.met)
    told.faults += faults


def table(rounds: list[Round]) -> str:
    """Everything so far, in words."""
    return "\n".join(line for each in rounds for line in _told(each))


def _told(told: Round) -> Iterator[str]:
    account = told.account
    yield f"seed {told.seed}, {told.database}, {told.seconds:.0f} s: {account.told()}"
    yield f"  networks {told.met}, outages {told.outages}"
    first, last = told.memory
    yield f"  MiB: {first:.1f} in the first quarter, {last:.1f} in the last, {told.per_hour:+.0f} an hour"
    yield "  twelfths: " + ", ".join(f"{each:.0f}" for each in told.course)
    for kind, (before, after) in told.busy.items():
        yield f"  {kind}: {before:g} in the first quarter, {after:g} in the last; at rest {told.idle[kind]}"
    yield f"  faults: {len(told.faults)}"
    yield from (f"    {fault[:500]}" for fault in told.faults)


def main(minutes: float, seed: int | None = None) -> int:
    """A round on each engine, half of the time each; 1 where there are faults, also of earlier runs."""
    rounds = msgspec.json.decode(RESULTS.read_bytes(), type=list[Round]) if RESULTS.exists() else []
    for database in ("sqlite", "postgres"):
        chosen = secrets.randbits(32) if seed is None else seed
        sys.stdout.write(f"seed {chosen} on {database}\n")
        sys.stdout.flush()
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            rounds.append(run(Path(folder), chosen, max(10.0, minutes * 30 - 30), database))
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(rounds)))
    sys.stdout.write(table(rounds) + "\n")
    return 1 if any(each.faults for each in rounds) else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), *map(int, sys.argv[2:3])))
