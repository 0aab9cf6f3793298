"""The shared store of limits: every decision is one call of a script in Redis, by Redis's clock.

Refuses to wait longer than its patience, and to decide on a memory that is not the one it trusts. The only
file that imports redis.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha1
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

from redis.asyncio.connection import ConnectionPool
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError, RedisError

from service.limits import wire
from service.limits.demand import Demand, Verdict
from service.limits.remote import Meeting, StoreSlow
from service.limits.state import Live
from service.limits.store import StoreAway
from service.slices import Slices

PATIENCE = 0.05
"""Seconds that a decision may take, waiting for a connection included."""
LONG_PATIENCE = 0.5
"""Seconds for what no caller waits for."""
SLICES = 5
"""Of either."""
MOST_LINES = 16
"""Connections at most; a decision holds one for a fraction of a millisecond."""
BATCH = 100
"""Keys that one call of the merging script writes: Redis serves nobody else meanwhile."""
ADMITTED, ANOTHER_EPOCH, LATE = 1, -1, -2

PLAIN: Mapping[str, Any] = {
    "protocol": 2,
    "driver_info": None,
    "socket_timeout": None,
    "socket_connect_timeout": None,
}
"""How connections are made: with as few words as may be, and with one bound on time, ours."""

Argument = str | int
T = TypeVar("T")


class Script:
    """A script beside this file, called by its digest and sent whole where Redis does not have it."""

    def __init__(self, *names: str) -> None:
        paths = (Path(__file__).with_name(f"{name}.lua") for name in names)
        self.text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
        self.digest = sha1(self.text.encode()).hexdigest()  # noqa: S324 - how Redis names scripts


DECIDE, SETTLE, MERGE = (Script("shared", name) for name in ("decide", "settle", "merge"))
GREET = Script("greet")


class RedisStore:
    """A Store in one Redis, shared by every process that is given its URL; a `service.limits.remote.Remote`.

    Args:
        url: redis:// or rediss://, with credentials where there are any.
        patience: Seconds for one decision.
        most_lines: Connections at most.
    """

    name = "redis"

    def __init__(self, url: str, *, patience: float = PATIENCE, most_lines: int = MOST_LINES) -> None:
        self._lines, self._patience = _Lines(url, most_lines), patience

    async def decide(self, demand: Demand) -> Verdict:
        """Admit the whole demand and count it, or deny it at no cost; see `service.limits.store.Store`."""
        return await self._look("peek" if wire.is_impossible(demand) else "decide", demand)

    async def peek(self, demand: Demand) -> Verdict:
        """Say what `decide` would at this moment; counts nothing."""
        return await self._look("peek", demand)

    async def settle(self, demand: Demand, verdict: Verdict, spent: int) -> None:
        """Give back leases, and of quantities what certainly nobody has used meanwhile."""
        if verdict.denied:
            return
        asked = (verdict.at, wire.digest(demand.lease), *wire.settled(demand, spent))
        await self._run(SETTLE, wire.names_of(demand), asked, self._patience)

    async def reset(self, demand: Demand) -> None:
        """Forget everything that is counted for the demand's subjects."""
        async with _translated(Slices(self._patience, SLICES)):
            await self._lines.use(lambda line: line.ask("DEL", *wire.names_of(demand)))

    async def meet(self) -> Meeting:
        """See whether it can be written to, and which life of its memory it is in; trusts nothing yet."""
        async with _translated(Slices(LONG_PATIENCE, SLICES)):
            return await self._lines.use(self._lines.greet)

    def trust(self, epoch: str) -> None:
        """Decide on this memory from now on, and on no other."""
        self._lines.trusted = epoch

    async def merge(self, pieces: Sequence[Live]) -> None:
        """Count what was admitted without it."""
        left = iter(pieces)
        while batch := tuple(islice(left, BATCH)):
            keys = [wire.name_of((piece.tag, piece.rule.name, piece.subject)) for piece in batch]
            await self._run(MERGE, keys, tuple(wire.merged(batch)), LONG_PATIENCE)

    async def warm(self) -> None:
        """Open every connection there may be, so that no decision waits for one."""
        async with _translated(Slices(LONG_PATIENCE, SLICES)):
            await self._lines.warm()

    async def close(self) -> None:
        """Close every connection; calls under way end as if it were away."""
        await self._lines.drop()

    async def _look(self, verb: str, demand: Demand) -> Verdict:
        keys = wire.names_of(demand)
        asked = (verb, wire.digest(demand.lease), *wire.asked(demand))
        told, now, *figures = await self._run(DECIDE, keys, asked, self._patience)
        admitted = verb == "decide" and told == ADMITTED
        return Verdict(standings=wire.standings(demand, figures, admitted=admitted), at=now, store=self.name)

    async def _run(
        self, script: Script, keys: Sequence[str], asked: Sequence[Argument], patience: float
    ) -> list[int]:
        bound = Slices(patience, SLICES)
        async with _translated(bound):
            # A second time where Redis's clock was set forward since it was last heard.
            for _ in range(2):
                answer = await self._lines.run(script, keys, asked, bound)
                if answer[0] == ANOTHER_EPOCH:
                    raise StoreAway("its memory is another")
                if answer[0] != LATE:
                    return answer
        raise StoreSlow("it came to the call too late")


class _Line:
    """One connection; what interrupts a call closes it, as its answer would be taken for the next one's."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @property
    def is_open(self) -> bool:
        return bool(self._connection.is_connected)

    async def open(self) -> None:
        await self._connection.connect()

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def ask(self, *words: Argument) -> Any:
        await self._connection.send_command(*words)
        return await self._connection.read_response()

    async def call(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        given = (len(keys), *keys, *arguments)
        try:
            return await self.ask("EVALSHA", script.digest, *given)
        except NoScriptError:
            return await self.ask("EVAL", script.text, *given)

    async def told(self, section: str) -> Mapping[str, str]:
        lines = (await self.ask("INFO", section)).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


class _Lines:
    """Connections to one Redis, at most `most`; `trusted` is the epoch that decisions are made in.

    redis's own client and pools are not used: they try again by themselves, which may count twice.
    """

    def __init__(self, url: str, most: int) -> None:
        pools: Any = ConnectionPool  # its class methods are not typed
        self._factory: Any = pools.from_url(url, **PLAIN)
        self._free: list[_Line] = []
        self._most, self._turns = most, asyncio.Semaphore(most)
        self.trusted = ""
        # How far Redis's clock is ahead of this process's at most, in microseconds, when it was last heard.
        self._ahead = 0

    async def use(self, work: Callable[[_Line], Awaitable[T]]) -> T:
        """Do something on a free line, on a new one where that turns out to be cut."""
        async with self._turns:
            if self._free:
                with suppress(Disconnected):
                    return await self._on(self._free.pop(), work)
                await self.drop()
            return await self._on(await self._open(), work)

    async def run(
        self, script: Script, keys: Sequence[str], asked: Sequence[Argument], bound: Slices
    ) -> list[int]:
        """Call a script that is of use as long as there is patience."""

        async def call(line: _Line) -> list[int]:
            sent = _microseconds()
            end = sent + round(bound.left * 1_000_000)
            arguments = (self.trusted, end + self._ahead, *asked)
            told = await line.call(script, (wire.EPOCH, *keys), arguments)
            answer = [int(number) for number in told.split()]
            self._ahead = answer[1] - sent
            return answer

        return await self.use(call)

    async def warm(self) -> None:
        """Open as many lines as there may be."""
        lacking = self._most - len(self._free)
        self._free += await asyncio.gather(*(self._open() for _ in range(lacking)))

    async def drop(self) -> None:
        """Close every line that is free."""
        free, self._free = self._free, []
        for line in free:
            await line.close()

    async def greet(self, line: _Line) -> Meeting:
        """Learn which Redis this is, and which life of its memory; begin one where it has none."""
        server, memory = await line.told("server"), await line.told("memory")
        sent = _microseconds()
        epoch, now, since = await line.call(GREET, (wire.EPOCH, wire.BEAT), (server["run_id"], token_hex(8)))
        self._ahead = int(now) - sent
        full = memory.get("maxmemory", "0") != "0" and memory.get("maxmemory_policy") != "noeviction"
        return Meeting(epoch=epoch.decode(), age_us=int(now) - int(since), forgetful=full)

    async def _open(self) -> _Line:
        line = _Line(self._factory.make_connection())
        try:
            await line.open()
            # A new line may lead to another server: the epoch is begun anew there before anything is decided.
            met = await self.greet(line)
        except BaseException:
            await line.close()
            raise
        self.trusted = self.trusted or met.epoch
        return line

    async def _on(self, line: _Line, work: Callable[[_Line], Awaitable[T]]) -> T:
        try:
            return await work(line)
        finally:
            if line.is_open:
                self._free.append(line)


@asynccontextmanager
async def _translated(bound: Slices) -> AsyncGenerator[None]:
    """Bound the time, and tell every fault of the library as StoreAway."""
    most = bound.left
    try:
        async with bound:
            yield
    except TimeoutError:
        raise StoreSlow(f"no answer in {most * 1_000:g} ms") from None
    except (RedisError, OSError, KeyError, ValueError) as error:
        # The kind only: the text may hold an address, or words of whoever answers at that port.
        raise StoreAway(type(error).__name__) from error


def _microseconds() -> int:
    return time.monotonic_ns() // 1_000
