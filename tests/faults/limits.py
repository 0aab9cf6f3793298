"""Limits under adversaries: `python -m tests.faults.limits [DECISIONS] [KEYS]`, or `make limits`.

Rounds of decisions on a clock of their own, whose logs are judged by windows alone; callers that ask all the
time; a flood of keys beside a victim and an offender. Refuses to end well where a window held too much.
"""

import asyncio
import random
import secrets
import sys
from array import array
from collections.abc import Sequence

from msgspec import Struct

from service.limits.demand import Demand, Kind, Part, Rule, Verdict
from service.limits.memory import MemoryStore
from tests.faults.limit_flood import Clock, fewest_in_a_window, flood
from tests.faults.limit_windows import MS, Entry, Report, check

DECISIONS, KEYS = 10_000_000, 10_000_000
ROUND = 250_000
"""Decisions of one round: its whole log is in memory."""
WINDOW_MS = 1_000
WINDOW = WINDOW_MS * MS
MOST_OPEN = 40
"""Turns of all callers that are under way at one time, about."""


def rule(kind: Kind, limit: int, name: str = "", window_ms: int = WINDOW_MS) -> Rule:
    """A rule by the name of its kind."""
    return Rule(name=name or kind.value, kind=kind, limit=limit, window_ms=window_ms)


ROLES = [rule(Kind.COUNT, limit) for limit in (1, 2, 7, 20, 100)]
TENANT = rule(Kind.COUNT, 40, "tenant", 2 * WINDOW_MS)
TOKENS = [rule(Kind.QUANTITY, limit) for limit in (1, 9, 1_000, 99_991)]
TURNS = [rule(Kind.LEASE, limit) for limit in (1, 3, 8)]


class Open(Struct, frozen=True):
    """A turn under way, and where its parts are in the log."""

    demand: Demand
    verdict: Verdict
    places: Sequence[tuple[Entry, int]]


class Caller:
    """Asks by a temperament: steadily, at random, or in bursts around the moment when it may again."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.name, self._chance = f"caller-{number}", chance
        self.rules = (chance.choice(ROLES), TENANT, chance.choice(TOKENS), chance.choice(TURNS))
        self.tag = f"tenant-{number % 3}"
        self.waking = 0

    def demand(self, number: int) -> Demand:
        """The next turn: of all rules or of some, for more tokens than ever fit now and then."""
        chosen = self.rules if self._chance.random() < 0.5 else self._chance.sample(self.rules, 2)
        parts = tuple(self._part(each) for each in chosen)
        return Demand(tag=self.tag, parts=parts, lease=f"{number}")

    def _part(self, each: Rule) -> Part:
        subject = self.tag if each is TENANT else self.name
        if each.kind is not Kind.QUANTITY:
            return Part(rule=each, subject=subject)
        whole = each.at_once
        cost = self._chance.choice((1, whole, self._chance.randint(1, whole), whole + 1))
        return Part(rule=each, subject=subject, cost=cost)

    def denied(self, now: int, verdict: Verdict) -> None:
        """Come back a nanosecond before the wait is over, just then, or any time."""
        wait = verdict.denied.wait_ms if verdict.denied else None
        edge = self._chance.choice((-1, 0, 1, -MS, self._chance.randrange(WINDOW)))
        self.waking = now + (wait or 0) * MS + edge


class Round:
    """So many decisions of one store, by a seed."""

    def __init__(self, seed: int, decisions: int, max_keys: int = 100_000) -> None:
        self.chance, self.clock = random.Random(seed), Clock()  # noqa: S311 - a schedule, no secret
        self.store = MemoryStore(self.clock, max_keys)
        self.log: dict[tuple[str, str], Entry] = {}
        self.report, self._decisions = Report(), decisions
        self._callers = [Caller(number, self.chance) for number in range(12)]
        self._open: list[Open] = []

    async def run(self) -> Report:
        """Decide all, and judge the log."""
        while self.report.decisions < self._decisions:
            caller = self.chance.choice(self._callers)
            if caller.waking > self.clock.now and self.chance.random() < 0.3:
                self.clock.now = caller.waking
            for _ in range(self.chance.choice((1, 1, 2, 5, 30))):
                await self._ask(caller)
            self.clock.now += self.chance.choice(
                (0, 1, self.chance.randrange(MS), self.chance.randrange(40 * MS))
            )
            while self._open and self.chance.random() < len(self._open) / MOST_OPEN:
                await self._settle(self._open.pop(self.chance.randrange(len(self._open))))
        check(self.log, self.report)
        return self.report

    async def _ask(self, caller: Caller) -> None:
        self.report.decisions += 1
        demand = caller.demand(self.report.decisions)
        verdict = await self.store.decide(demand)
        if verdict.denied:
            caller.denied(self.clock.now, verdict)
            return
        self.report.admitted += 1
        self._open.append(Open(demand, verdict, [self._noted(part) for part in demand.parts]))

    def _noted(self, part: Part) -> tuple[Entry, int]:
        key = (part.rule.name, part.subject)
        entry = self.log.setdefault(key, Entry(part.rule, array("q"), array("q"), array("q")))
        entry.at.append(self.clock.now)
        entry.amount.append(part.cost)
        entry.end.append(self.clock.now + part.rule.window_ms * MS)
        return entry, len(entry.at) - 1

    async def _settle(self, turn: Open) -> None:
        """Spend a part of it, seldom nothing, often all."""
        tokens = max(part.cost for part in turn.demand.parts)
        spent = self.chance.choice((0, tokens, self.chance.randint(0, tokens)))
        await self.store.settle(turn.demand, turn.verdict, spent)
        for entry, place in turn.places:
            entry.end[place] = min(entry.end[place], self.clock.now)
            if entry.rule.kind is Kind.QUANTITY:
                entry.amount[place] = spent


async def campaign(decisions: int, keys: int) -> int:
    """All of it, told as it goes; 1 where there are faults."""
    faults: list[str] = []
    for number in range(-(-decisions // ROUND)):
        seed = secrets.randbits(32)
        report = await Round(seed, ROUND, 100_000 if number % 4 else 8).run()
        faults += [f"seed {seed}: {fault}" for fault in report.faults]
        fullest = ", ".join(f"{name} {share:.3f}" for name, share in sorted(report.fullest.items()))
        _say(f"{report.decisions} decisions, {report.admitted} admitted; fullest windows: {fullest}")
    for one in (rule(Kind.COUNT, 100), rule(Kind.COUNT, 1_000), rule(Kind.QUANTITY, 5_000)):
        _say(f"steady at {one.limit} ({one.kind.value}): {await fewest_in_a_window(one)} at least")
    found = await flood(keys)
    faults += found.faults
    _say(f"{found.keys} keys: {found.held} held, {found.megabytes:.1f} MB more")
    _say(
        "us of CPU for a decision, p50 p99 p99.9 max: " + " ".join(f"{each:.1f}" for each in found.quantiles)
    )
    _say(f"faults: {len(faults)}\n" + "\n".join(faults[:20]))
    return 1 if faults else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    sys.exit(asyncio.run(campaign(*given, *(DECISIONS, KEYS)[len(given) :])))
