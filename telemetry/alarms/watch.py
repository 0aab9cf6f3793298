"""Decides what is told, and that it is told once: an alarm stands, goes on, is over.

Refuses to tell again what was told already, also where another process or an earlier one did.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from telemetry.alarms.alarm import Alarm, Notice
from telemetry.alarms.durations import Durations
from telemetry.alarms.heard import Heard
from telemetry.alarms.tally import Counted, Weighed, weigh
from telemetry.spike import SPIKES, WINDOW, Spike

REMEMBERED = 1_000
"""Alarms that lines told and that stand at one time; of further ones nothing is told by the webhook."""


class Standing(Struct, kw_only=True):
    """What is known of one alarm, in seconds since 1970: since when it holds, when it did last.

    `started` is None while it may pass by itself; `told` is when it was told last.
    """

    alarm: Alarm
    since: float
    held: float
    started: float | None = None
    told: float = 0


class Memory(Struct, kw_only=True):
    """What outlives a process: how each alarm stands, by its fingerprint, and what lines told."""

    standings: dict[str, Standing] = field(default_factory=dict[str, Standing])
    heard: dict[str, Heard] = field(default_factory=dict[str, Heard])


class Patience(Struct, frozen=True):
    """Seconds until it is told, until its end is, and until it is told again."""

    wait: float
    keep: float
    repeat: float


AT_ONCE = Patience(0, 0, float("inf"))


class Watch:
    """Looks at what was counted and heard. `memory` may be replaced by another process's."""

    def __init__(self, durations: Durations) -> None:
        self.memory = Memory()
        self._durations = durations
        self._patience = Patience(durations.wait, durations.keep, durations.repeat)

    def look(self, counted: Iterable[Counted], heard: Iterable[Heard], now: float) -> Iterator[Notice]:
        """What is to be told now."""
        all_of = tuple(counted)
        for spike in SPIKES:
            yield from self.heed(spike, weigh(spike, all_of, now, self._durations), now)
        self._hear(heard)
        for key, each in tuple(self.memory.heard.items()):
            yield from self._judge(each.alarm, now, AT_ONCE, holds=each.until > now)
            if each.until <= now - self._durations.horizon:
                del self.memory.heard[key]

    def heed(self, spike: Spike, weighed: Weighed, now: float) -> Iterator[Notice]:
        """What is to be told of one category now."""
        alarm = Alarm(
            name=spike.name,
            severity=spike.severity.value,
            summary=spike.summary(str(weighed.count)),
            more={"category": spike.category.value},
            told={"count": weighed.count, "baseline": round(weighed.baseline, 2), "window": WINDOW},
        )
        yield from self._judge(alarm, now, self._patience, holds=weighed.over)

    def _hear(self, heard: Iterable[Heard]) -> None:
        """The newest of each counts; one that is over before it stood is nothing."""
        known = self.memory.heard
        for each in sorted(heard, key=lambda each: each.at):
            key = each.alarm.fingerprint
            old = known.get(key)
            if old is None and len(known) >= REMEMBERED:
                continue
            if old is None or each.at > old.at:
                known[key] = each

    def _judge(self, alarm: Alarm, now: float, patience: Patience, *, holds: bool) -> Iterator[Notice]:
        key, standings = alarm.fingerprint, self.memory.standings
        if holds:
            one = standings.setdefault(key, Standing(alarm=alarm, since=now, held=now))
            yield from _goes_on(one, alarm, now, patience)
        elif (one := standings.get(key)) and _over(one, now, patience):
            del standings[key]
            if one.started is not None:
                yield Notice(alarm=alarm, started=one.started, ended=now)


def _goes_on(one: Standing, alarm: Alarm, now: float, patience: Patience) -> Iterator[Notice]:
    one.alarm, one.held = alarm, now
    if one.started is None and now - one.since >= patience.wait:
        one.started, one.told = now, now
    elif one.started is None or now - one.told < patience.repeat:
        return
    one.told = now
    yield Notice(alarm=alarm, started=one.started, ended=None)


def _over(one: Standing, now: float, patience: Patience) -> bool:
    """What was never told is forgotten at once."""
    return one.started is None or now - one.held >= patience.keep
