"""One process of many that share limits: asks as an adversary does, and writes every decision down.

Refuses to judge: `tests.faults.windows` does.

    python -m tests.faults.limits_worker URL LOG '{"replicas": 4, "on_loss": "share", …}'
"""

import asyncio
import random
import signal
import sys
import time
import zlib
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from service.limits.demand import Demand, Kind, Part, Rule, Verdict
from service.limits.loss import SharedStore
from service.limits.redis import RedisStore
from tests.faults.windows import LAYOUT

STEADY = 0
"""The subject that is asked for without a pause."""


class Plan(Struct, frozen=True, kw_only=True):
    """What a worker does, until it is terminated."""

    replicas: int = 4
    on_loss: str = "share"
    limit: int = 20
    window_ms: int = 1_000
    subjects: int = 4
    at_once: int = 2
    seed: int = 0


class Worker:
    """The callers of one process."""

    def __init__(self, url: str, log: BinaryIO, plan: Plan) -> None:
        self._log, self._plan = log, plan
        self._store = SharedStore(
            RedisStore(url),
            replicas=plan.replicas,
            on_loss="strict" if plan.on_loss == "strict" else "share",
            told=self._tell,
        )
        self._rule = Rule(name="role", kind=Kind.COUNT, limit=plan.limit, window_ms=plan.window_ms)
        self._turns = Rule(name="concurrency", kind=Kind.LEASE, limit=1_000, window_ms=60_000)
        self._numbers = 0

    async def run(self) -> None:
        """Ask until terminated; at the end say what the wall clock said."""
        walls, end = [time.time()], asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
        await self._store.start()
        callers = [
            asyncio.create_task(self._call(subject, random.Random(self._plan.seed * 1_000 + number)))  # noqa: S311
            for subject in range(self._plan.subjects)
            for number in range(1 if subject == STEADY else self._plan.at_once)
        ]
        sys.stderr.write("Asking: now\n")
        await end.wait()
        walls.append(time.time())
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        await self._store.close()
        sys.stdout.write(msgspec.json.encode(walls).decode() + "\n")

    async def _call(self, subject: int, rng: random.Random) -> None:
        while True:
            verdict = await self._ask(subject)
            if subject == STEADY:
                await asyncio.sleep(0.01)
            elif verdict.denied:
                await asyncio.sleep(self._pause(rng, verdict.denied.wait_ms or 0))

    def _pause(self, rng: random.Random, wait_ms: int) -> float:
        """As long as was told, a little less, or whatever comes: an adversary is after the first moment."""
        exact = wait_ms / 1_000
        return rng.choice((exact, exact, max(0.0, exact - 0.001), rng.random() * exact, 0.005))

    async def _ask(self, subject: int) -> Verdict:
        self._numbers += 1
        name = f"subject-{subject}"
        parts = (Part(rule=self._rule, subject=name), Part(rule=self._turns, subject=name))
        demand = Demand(tag=name, parts=parts, lease=f"{self._plan.seed}-{self._numbers}")
        asked = time.monotonic_ns()
        verdict = await self._store.decide(demand)
        told = time.monotonic_ns()
        self._write(subject, asked, told, verdict)
        await self._store.settle(demand, verdict, 0)
        return verdict

    def _write(self, subject: int, asked: int, told: int, verdict: Verdict) -> None:
        alone = verdict.store == "local"
        life = zlib.crc32((self._store._reunion.epoch or "").encode())
        row = (asked, told, 0 if alone else verdict.at, life, subject, not verdict.denied, alone)
        self._log.write(LAYOUT.pack(*row))

    def _tell(self, away: bool, why: str) -> None:  # noqa: FBT001 - as it is told
        sys.stderr.write(f"Switched: {time.monotonic_ns()} {int(away)} {why}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    with Path(sys.argv[2]).open("wb", buffering=0) as written:
        asyncio.run(Worker(sys.argv[1], written, msgspec.json.decode(sys.argv[3], type=Plan)).run())
