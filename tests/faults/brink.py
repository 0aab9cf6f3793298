"""Clients that leave at any moment of an answer, most of them near its end; long: `make brink MINUTES=`.

Each has to leave one row, and whoever was told the end is answered by it. Adds to var/brink.json; refuses to
end well where any round ever did not.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct, field

from tests.faults import endings
from tests.faults.partings import SECONDS, Parting, Scene
from tests.harness.service import Service

RESULTS = Path("var/brink.json")
EACH = 70
MOMENTS = (b"", b"HTTP/1.1 200", b"event: text", b"event: done")
"""What a client waits for before it leaves, and then for a moment."""
LONGEST = 0.012
"""Seconds of that moment: about what the rest of the answer takes."""
WAYS = ("fin", "rst")


class Total(Struct):
    """All rounds: clients that left, those who were told the end, and what the rows say."""

    rounds: int = 0
    left: int = 0
    told: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Brink:
    """Plays them by a seed; `told` has by turn whether its client was told the end."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)  # noqa: S311 - a plan, no secret
        self.told: dict[str, bool] = {}
        both = {"way": "whole", "outcomes": ("answered", "client_gone"), "play": self.leave}
        self.partings = (
            Parting(name="a stream, at any moment", **both),
            Parting(name="JSON, at any moment", streamed=False, **both),
            Parting(name="a stream that is waited for", patient=True, **both),
        )

    async def leave(self, scene: Scene) -> None:
        """The client reads up to some bytes and for a moment on, and is gone."""
        marker, moment = self._chance.choice(MOMENTS), self._chance.uniform(0, LONGEST)
        how = self._chance.choice(WAYS)
        async with asyncio.timeout(SECONDS):
            await scene.heard.asked.wait()
        if not marker.startswith(b"event") or scene.streamed:
            await scene.guest.until(marker)
        reading = asyncio.create_task(scene.guest.rest())
        await asyncio.wait((reading,), timeout=moment)
        reading.cancel()
        await asyncio.wait((reading,))
        scene.guest.leave(how)
        self._remember(scene)

    def _remember(self, scene: Scene) -> None:
        head, found, body = scene.guest.received.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.decode().lower().split("\r\n")
        turn = next(line.partition(": ")[2] for line in lines if line.startswith("x-request-id: "))
        told = scene.guest.events[-1:] if scene.streamed else []
        self.told[turn] = bool(body) if not scene.streamed else bool(told and told[0].event == "done")


def run(cwd: Path, seed: int, each: int) -> tuple[Brink, Total]:
    """So many of each, and what it came to."""
    brink, results = Brink(seed), endings.Results()
    endings.run(cwd, brink.partings, each, results)
    total = Total(rounds=1, faults=results.faults, told=sum(brink.told.values()))
    for tally in results.tallies.values():
        total.left += tally.played
        for outcome, number in tally.outcomes.items():
            total.outcomes[outcome] = total.outcomes.get(outcome, 0) + number
    services = (Service(cwd / str(patient)) for patient in (False, True))
    rows = {row["entityId"]: row["outcome"] for service in services for row in service.rows()}
    for turn, told in brink.told.items():
        if turn not in rows:
            total.faults.append(f"seed {seed}: no row of {turn}")
        elif told and rows[turn] != "answered":
            total.faults.append(f"seed {seed}: {turn} was told the end, and is {rows[turn]}")
    return brink, total


def add(total: Total, one: Total) -> None:
    """One more round."""
    for name in ("rounds", "left", "told"):
        setattr(total, name, getattr(total, name) + getattr(one, name))
    for outcome, number in one.outcomes.items():
        total.outcomes[outcome] = total.outcomes.get(outcome, 0) + number
    total.faults += one.faults


def main(minutes: float) -> int:
    """Rounds until the time is over, one at least; 1 where there are faults."""
    total = msgspec.json.decode(RESULTS.read_bytes(), type=Total) if RESULTS.exists() else Total()
    end = time.monotonic() + minutes * 60
    while True:
        with tempfile.TemporaryDirectory(prefix="brink-") as folder:
            add(total, run(Path(folder), time.time_ns() % 2**32, 10 * EACH)[1])
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(total)))
        if time.monotonic() > end:
            break
    sys.stdout.write(f"{total}\n")
    return 1 if total.faults else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
