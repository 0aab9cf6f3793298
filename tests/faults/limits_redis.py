"""Processes that share limits while Redis is killed, frozen, cut off, flushed and full, judged by their logs.

`python -m tests.faults.limits_redis MINUTES` goes on for so long. The processes' wall clocks are wrong by up
to two minutes, and are set by an hour meanwhile. Refuses to end well where a window held too much.
"""

import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from tests.faults.limits_worker import STEADY, Plan
from tests.faults.proxy import Mode, Proxy
from tests.faults.windows import Decision, percentile, read, steady, worst, worst_of_a_life
from tests.harness.process import Process
from tests.harness.redis import Redis
from tests.harness.waiting import wait

ROOT = Path(__file__).parents[2]
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
WRONG = (120, -120, 45, 0)
"""Seconds by which the processes' wall clocks are wrong."""
HOUR = 3_600
SECOND = 1_000_000_000
FAULTS = ("kill", "freeze", "scripts", "flush", "full", "silence")


class Event(Struct, frozen=True):
    """A fault and the moment at which it was over, by the monotonic clock in nanoseconds."""

    name: str
    begin: int
    end: int


class Worker:
    """One process; `switches` are the moments at which it went alone (True) and came back."""

    def __init__(self, url: str, folder: Path, number: int, plan: Plan) -> None:
        self.log, self._clock = folder / f"{number}.log", folder / f"{number}.clock"
        self.wrong = WRONG[number % len(WRONG)]
        self.set_clock(0)
        given = msgspec.json.encode(plan).decode()
        command = [sys.executable, "-m", "tests.faults.limits_worker", url, str(self.log), given]
        self.process = Process(command, ROOT, {"PYTHONPATH": str(ROOT), **self._faked()})

    def set_clock(self, seconds: int) -> None:
        """Set its wall clock; the monotonic one is the host's, as it is where a clock is set."""
        self.wrong += seconds
        self._clock.write_text(f"{self.wrong:+d}s")

    @property
    def switches(self) -> list[tuple[int, bool]]:
        """What it said so far."""
        lines = (line.split() for line in list(self.process.stderr) if line.startswith("Switched: "))
        return [(int(words[1]), words[2] == "1") for words in lines]

    @property
    def is_back(self) -> bool:
        """Whether it goes by the shared store."""
        assert self.process.code is None, self.process.said()
        return not self.switches or not self.switches[-1][1]

    def end(self) -> list[float]:
        """End it, and return what its wall clock said at its beginning and its end."""
        assert self.process.stop(signal.SIGTERM) == 0, self.process.said()
        return msgspec.json.decode(self.process.stdout[-1])

    def _faked(self) -> dict[str, str]:
        if not FAKETIME.exists():
            return {}
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


class Report(Struct, frozen=True):
    """What one trial came to; times are milliseconds, returns seconds."""

    on_loss: str
    limit: int
    decisions: int
    worst_of_a_life: int
    worst: int
    steady: float
    detecting: float
    alone: float
    returns: dict[str, float]

    @property
    def faults(self) -> Iterator[str]:
        """What must not be."""
        if self.worst_of_a_life > self.limit:
            yield f"one memory admitted {self.worst_of_a_life} of {self.limit} in a window"
        most = self.limit if self.on_loss == "strict" else 2 * self.limit - 1
        if self.worst > most:
            yield f"{self.worst} of {self.limit} in a window, under {self.on_loss}"

    def __str__(self) -> str:
        back = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.returns.items())
        return (
            f"{self.on_loss}: {self.decisions} decisions; worst window {self.worst_of_a_life} in one memory, "
            f"{self.worst} in all, of {self.limit}; steady {self.steady:.2f}; p99 {self.detecting:.1f} ms "
            f"while it is found out, {self.alone:.2f} ms alone; back after: {back}"
        )


class Trial:
    """Four processes and one Redis. A context manager; `happen` does one fault, `report` judges them all.

    By way of a proxy where the network is to fall silent: that costs a fraction of a millisecond.
    """

    def __init__(self, on_loss: str, seed: int, *, replicas: int = 4, proxied: bool = True) -> None:
        self._proxied = proxied
        self._plans = [Plan(on_loss=on_loss, replicas=replicas, seed=seed + n) for n in range(replicas)]
        self.events: list[Event] = []
        self._opened = ExitStack()
        self._calm = (0, 0)

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self.folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
            self.server = opened.enter_context(Redis())
            self.proxy = opened.enter_context(Proxy(self.server.port))
            url = self.server.url(self.proxy.port if self._proxied else None)
            self.workers = [Worker(url, self.folder, n, plan) for n, plan in enumerate(self._plans)]
            for worker in self.workers:
                opened.enter_context(worker.process)
                worker.process.wait_for_word("Asking")
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def be_calm(self, seconds: float) -> None:
        """Let nothing happen, and measure what is admitted steadily."""
        time.sleep(seconds)
        self._calm = time.monotonic_ns() - round(seconds * SECOND), time.monotonic_ns()

    def happen(self, name: str, seconds: float) -> None:
        """Do one fault for so long, and wait until every process is back."""
        begin = time.monotonic_ns()
        end = self._happens()[name](seconds)
        # Every process finds out within a second and a half, if it did not yet.
        time.sleep(1.5)
        wait(lambda: all(worker.is_back for worker in self.workers), seen=self._said)
        self.events.append(Event(name, begin, end))

    def set_clocks(self) -> None:
        """Set every wall clock by an hour, half of them back."""
        for number, worker in enumerate(self.workers):
            worker.set_clock(HOUR if number % 2 else -HOUR)

    def report(self) -> Report:
        """End all processes and judge what they wrote."""
        walls = [worker.end() for worker in self.workers]
        if FAKETIME.exists():
            told = [
                end - time.time() - worker.wrong for (_, end), worker in zip(walls, self.workers, strict=True)
            ]
            assert max(map(abs, told)) < HOUR / 2, f"no clock was set: {told}"
        logs = [read([worker.log]) for worker in self.workers]
        rows = [row for log in logs for row in log]
        plan = self._plans[0]
        return Report(
            on_loss=plan.on_loss,
            limit=plan.limit,
            decisions=len(rows),
            worst_of_a_life=worst_of_a_life(rows, plan.window_ms),
            worst=worst(rows, plan.window_ms),
            steady=steady(rows, STEADY, plan.window_ms, self._calm),
            detecting=percentile(self._took(logs, finding=True), 99),
            alone=percentile(self._took(logs, finding=False), 99),
            returns=self._returns(),
        )

    def _happens(self) -> dict[str, Callable[[float], int]]:
        return {
            "kill": lambda seconds: self._during(self.server.stop, seconds, self.server.start),
            "freeze": lambda seconds: self._during(self.server.freeze, seconds, self.server.thaw),
            "silence": lambda seconds: self._during(self._be_silent, seconds, self._pass),
            "full": lambda seconds: self._during(lambda: self._limit(1), seconds, lambda: self._limit(0)),
            "scripts": lambda _: self._at_once("SCRIPT", "FLUSH"),
            "flush": lambda _: self._at_once("FLUSHALL"),
        }

    def _during(self, begin: Callable[[], object], seconds: float, end: Callable[[], object]) -> int:
        begin()
        time.sleep(seconds)
        end()
        return time.monotonic_ns()

    def _at_once(self, *words: str) -> int:
        self.server.say(*words)
        return time.monotonic_ns()

    def _limit(self, memory: int) -> None:
        self.server.say("CONFIG", "SET", "maxmemory", memory)

    def _be_silent(self) -> None:
        self.proxy.mode = Mode.SILENT

    def _pass(self) -> None:
        self.proxy.mode = Mode.PASS

    def _said(self) -> str:
        return "\n".join(worker.process.said() for worker in self.workers)

    def _took(self, logs: Sequence[Sequence[Decision]], *, finding: bool) -> Iterator[float]:
        """How long decisions took from a fault until a process went alone; or from then until it was back."""
        for worker, log in zip(self.workers, logs, strict=True):
            spans = _found(worker.switches, self.events) if finding else _alone(worker.switches)
            for begin, end in spans:
                yield from (row.took for row in log if row.told > begin and row.asked < end)

    def _returns(self) -> dict[str, float]:
        """For each kind of fault, after how many seconds the last process was back at most."""
        back = dict.fromkeys((event.name for event in self.events), 0.0)
        ends = [*(event.begin for event in self.events), time.monotonic_ns()][1:]
        for event, until in zip(self.events, ends, strict=True):
            for worker in self.workers:
                there = [at for at, away in worker.switches if not away and event.end < at < until]
                last = (there[-1] - event.end) / SECOND if there else 0.0
                back[event.name] = max(back[event.name], last)
        return back


def _found(switches: Sequence[tuple[int, bool]], events: Sequence[Event]) -> Iterator[tuple[int, int]]:
    for event in events:
        lost = [at for at, away in switches if away and event.begin <= at < event.end + 2 * SECOND]
        if lost:
            yield event.begin, lost[0]


def _alone(switches: Sequence[tuple[int, bool]]) -> Iterator[tuple[int, int]]:
    lost = 0
    for at, away in switches:
        if away:
            lost = at
        elif lost:
            yield lost, at
            lost = 0


def rest(seconds: float) -> Report:
    """Nothing happens for so long: what is admitted steadily."""
    return run("share", secrets.randbits(24), (), calm=seconds)


def run(
    on_loss: str, seed: int, faults: Sequence[str] = FAULTS, seconds: float = 1.5, calm: float = 5
) -> Report:
    """One trial: calm, then each fault for so long, with all clocks set in the midst."""
    with Trial(on_loss, seed, proxied="silence" in faults) as trial:
        wait(lambda: all(worker.is_back for worker in trial.workers))
        time.sleep(4)
        trial.be_calm(calm)
        for number, name in enumerate(faults):
            if number == len(faults) // 2:
                trial.set_clocks()
            trial.happen(name, seconds)
        return trial.report()


def campaign(minutes: float) -> int:
    """Trials of both kinds in turns until the time is over; 1 where there are faults."""
    end, faults = time.monotonic() + minutes * 60, 0
    sys.stdout.write(f"calm: {rest(15)}\n")
    for number in count():
        if time.monotonic() >= end:
            return 1 if faults else 0
        seed = secrets.randbits(24)
        report = run(("share", "strict")[number % 2], seed, FAULTS * 2, seconds=(1.0, 2.5, 0.3)[number % 3])
        sys.stdout.write(f"seed {seed}: {report}\n" + "".join(f"FAULT: {each}\n" for each in report.faults))
        sys.stdout.flush()
        faults += len(list(report.faults))
    return 0


if __name__ == "__main__":
    sys.exit(campaign(float(sys.argv[1])))
