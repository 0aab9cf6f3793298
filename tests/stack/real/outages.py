"""Parts of the stack that go away and come back while a service is asked: what that costs, counted.

Refuses to call anything promised that is only likely: what arrived beside that is told, not asserted.
"""

import signal
import time
from collections.abc import Mapping, Sequence
from typing import Self

import httpx
from msgspec import Struct

from tests.harness.chat import ROUTE
from tests.harness.service import Service
from tests.stack.real import asking
from tests.stack.real.patience import until
from tests.stack.real.stack import Stack

FEW = 5
PAUSE = 0.1
"""Seconds between two queries during an outage."""
TRIED = 24.0
"""Seconds that an outage lasts at the least before it costs a batch: the jitter may make 31 a fifth less."""
BATCH = 128
"""Spans that the service sends at once at the most."""
QUEUE = 2_048
"""Spans that wait in the service: OTEL_BSP_MAX_QUEUE_SIZE where nobody says otherwise."""
SPANS = 3
"""Of a turn that is answered without a tool."""
UNDECIDED = {"SAMPLING_ROOT_WAIT": "120s"}
"""A collector that holds every trace back."""


class Outage(Struct, frozen=True, kw_only=True):
    """What came of one: `kept` of the `asked` traces are in Jaeger, `promised` are those that must be."""

    name: str
    seconds: float
    asked: int
    kept: int
    promised: int
    slowest: float

    def __str__(self) -> str:
        return (
            f"{self.name}, {self.seconds:g} s: {self.asked} queries answered (slowest {self.slowest:.2f} s),"
            f" {self.kept} of their traces arrived, {self.promised} were promised"
        )


class Asking:
    """Asks a service, whose every answer must be good; keeps the slowest. A context manager."""

    def __init__(self, service: Service) -> None:
        self.service, self.asked, self.slowest = service, 0, 0.0
        self._client = httpx.Client(base_url=service.url, timeout=60, trust_env=False)
        self._headers = {"Authorization": f"Bearer {service.api_key}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def __call__(self, count: int = FEW) -> list[str]:
        """Ask so many queries one after the other; their trace ids."""
        return [self._one() for _ in range(count)]

    def during(self, seconds: float) -> list[str]:
        """Ask on and on for so long."""
        end, ids = time.monotonic() + seconds, list[str]()
        while time.monotonic() < end:
            ids += self(1)
            time.sleep(PAUSE)
        return ids

    def _one(self) -> str:
        begun = time.monotonic()
        answer = self._client.post(ROUTE, json={"message": "Hello"}, headers=self._headers)
        assert answer.status_code == 200, answer.text
        self.asked += 1
        self.slowest = max(self.slowest, time.monotonic() - begun)
        return answer.headers["x-trace-id"]


def collector_away(stack: Stack, service: Service, seconds: float) -> Outage:
    """Nobody takes what the service tells. Promised: what it counts, and traces but for a batch in `TRIED` s.

    Up to what the SDK's queue holds; each batch is tried for so long (telemetry/providers.py), then lost.
    """
    with Asking(service) as ask:
        stack.end("collector")
        during = ask.during(seconds)
        stack.start("collector")
        lost = int(seconds // TRIED) * -(-BATCH // SPANS)
        promised = during[lost : QUEUE // SPANS] + ask()
        arrived(stack, promised)
        counted(stack, service)
        return told("the collector away", stack, ask, seconds, during, promised)


def jaeger_away(stack: Stack, service: Service, seconds: float) -> Outage:
    """Jaeger is killed; then the collector too, with all that waits. Promised: what was in its queue."""
    with Asking(service) as ask:
        stack.end("jaeger", signal.SIGKILL)
        promised = ask.during(seconds)
        until(lambda: queued(stack) >= SPANS * len(promised), seen=stack.said)
        stack.end("collector", signal.SIGKILL)
        others = ask()
        stack.start("collector")
        stack.start("jaeger")
        arrived(stack, promised)
        return told("Jaeger away, the collector killed meanwhile", stack, ask, seconds, others, promised)


def undecided(stack: Stack, service: Service, number: int) -> Outage:
    """The collector ends by a signal with traces in memory that it has not decided on.

    Killed, these are lost, and nothing else is promised of them; told to end, it sends them.
    """
    with Asking(service) as ask:
        arrived(stack, ask())  # and with it all that the service had still to send
        stack.end("collector")
        stack.start("collector", **UNDECIDED)
        held = ask()
        until(lambda: accepted(stack) >= SPANS * len(held), seen=stack.said)
        stack.end("collector", number)
        stack.start("collector")
        promised = ask() + (held if number == signal.SIGTERM else [])
        arrived(stack, promised)
        name = f"the collector ended by {signal.Signals(number).name} before it decided"
        return told(name, stack, ask, 0, held, promised)


def queued(stack: Stack) -> float:
    """Spans that wait for Jaeger."""
    return asking.summed(stack.address(8888), "otelcol_exporter_queue_size")


def accepted(stack: Stack) -> float:
    """Spans that the collector took since it started."""
    return asking.summed(stack.address(8888), "otelcol_receiver_accepted_spans")


def found(stack: Stack) -> Mapping[str, Sequence[asking.Traced]]:
    """What Jaeger has."""
    return asking.traces(stack.address(16686))


def arrived(stack: Stack, ids: Sequence[str]) -> None:
    """Wait until these traces are whole in Jaeger."""

    def missing() -> list[str]:
        there = found(stack)
        return [each for each in ids if len(there.get(each, ())) != SPANS]

    until(lambda: not missing(), seen=lambda: f"missing of {len(ids)}: {missing()}\n{stack.said()}")


def counted(stack: Stack, service: Service) -> None:
    """Wait until every row there is has been counted: what was told too late is told in the next number."""
    rows = len(service.rows())

    def turns() -> float:
        return asking.summed(stack.address(8889), "parley_turns")

    until(lambda: turns() == rows, seen=lambda: f"{turns()} turns, {rows} rows")


def told(
    name: str, stack: Stack, ask: Asking, seconds: float, others: Sequence[str], promised: Sequence[str]
) -> Outage:
    """What came of it, with every query in a row."""
    ask.service.wait_for_rows(ask.asked)
    there = found(stack)
    return Outage(
        name=name,
        seconds=seconds,
        asked=ask.asked,
        kept=sum(each in there for each in {*others, *promised}),
        promised=len(promised),
        slowest=ask.slowest,
    )
