"""A house of turns around a scripted model: everything real but the model, the limiter and the request.

Refuses to reach outside: no socket, no database, no clock of its own.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct, structs

from service.agent.agent import Agent
from service.agent.asked import Question
from service.agent.conversation.leases import Leases
from service.agent.conversation.memory import Memory
from service.agent.cost import Prices
from service.agent.events import Event
from service.agent.hold import Answer
from service.agent.model import Model
from service.agent.running import RunningTurn
from service.agent.turns import Terms, Turns
from service.agent.upstream.guard import Guards
from service.errors import NotFound, RateLimited, ToolLimited, ToolUnknown, ending_of
from service.limits.need import Need
from service.store.conversations import KeptTurn
from service.tools import Errand, Tool
from telemetry import ids
from telemetry.record import Caller, Decision, RateLimit, Reserved, TurnRecord
from telemetry.recorder import Recorder, microseconds
from telemetry.sink import guard
from telemetry.testing import MemorySink

CALLER = Caller(user_id="ann", role="CFO", method="api_key", credential_id="k1", pseudonym="p1")
QUESTION = Question(
    message="How much?",
    conversation_id="0190163d-8694-739b-b3c1-cf0a1b2c3d4e",
    model="claude-sonnet-5-5",
    max_tokens=100,
    streamed=True,
)
ALLOWED = RateLimit(decision=Decision.ALLOWED, policy="role", limit=2, window_ms=60_000, remaining=1)


class FakeAsk:
    """An Ask that answers what it is given, a value or an exception to raise, once `until` has ended.

    Given no question it asks QUESTION: the first turn in that conversation, any other in one of its own.
    """

    route = "POST /api/v1/agent/chat"
    client_request_id = None
    address = "192.0.2.7"
    whom = "ann"
    heavy = False

    def __init__(
        self,
        question: Question | Exception | None = None,
        caller: Caller | Exception = CALLER,
        until: Callable[[], Awaitable[object]] | None = None,
        turn_id: str = "turn-1",
        claim: "FakeClaim | None" = None,
    ) -> None:
        self.turn_id, self._claim = turn_id, claim
        self._question, self._caller, self._until = question or _question(turn_id), caller, until
        self.looking = asyncio.Event()

    async def caller(self) -> Caller:
        self.looking.set()
        if self._until:
            await self._until()
        return _or_raise(self._caller)

    def question(self) -> Question:
        return _or_raise(self._question)

    def claim(self, caller: Caller) -> "FakeClaim | None":
        del caller
        return self._claim


class FakeClaim:
    """A Claim that is taken, or refused by an exception; `settled` are the answers it was settled with."""

    name = "claim"

    def __init__(self, refusal: Exception | None = None) -> None:
        self._refusal = refusal
        self.settled: list[Answer | None] = []
        self.abandoned = 0

    async def take(self) -> None:
        _or_raise(self._refusal)

    async def settle(self, answer: Answer | None) -> None:
        self.settled.append(answer)

    def abandon(self) -> None:
        self.abandoned += 1


class FakeConversations:
    """Conversations in a dict; `away` is raised by every method while it is set, `kept` are the turns."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, str, KeptTurn]] = {}
        self.hidden: list[tuple[str, str, bool]] = []
        self.away: Exception | None = None

    async def keep(self, user_id: str, title: str, turn: KeptTurn, patience: float = 0.0) -> bool:
        del patience
        _or_raise(self.away)
        self.kept.setdefault(turn.turn_id, (user_id, title, turn))
        return True

    async def recall(self, conversation_id: str, user_id: str, turns: int, tokens: int) -> Sequence[KeptTurn]:
        del tokens
        _or_raise(self.away)
        found = [kept for kept in self.kept.values() if kept[2].conversation_id == conversation_id]
        if any(owner != user_id for owner, _, _ in found):
            raise NotFound
        return sorted((turn for _, _, turn in found), key=lambda turn: turn.position)[-turns:]

    async def hide(self, conversation_id: str, user_id: str, at: int, *, early: bool = False) -> None:
        del at
        _or_raise(self.away)
        self.hidden.append((conversation_id, user_id, early))


class FakeGrant:
    """A Grant of one decision; `calls` and `tools` are what was asked for, `closed` what was given back."""

    def __init__(self, limit: RateLimit | None) -> None:
        self.limit = limit
        self.reserved: Reserved | None = None
        denied = limit and limit.decision is Decision.DENIED
        self.refusal = RateLimited(limit) if limit and denied else None
        self.calls: list[tuple[Need, int]] = []
        self.tools: list[str] = []
        self.models: list[str] = []
        self.without: tuple[str, ...] = ()
        self.closed: list[tuple[list[int], int]] = []
        self.deny: Exception | None = None

    async def call(self, weigh: Callable[[], Need], spent_micros: int) -> None:
        self.calls.append((weigh(), spent_micros))
        _or_raise(None if isinstance(self.deny, ToolLimited) else self.deny)

    async def model(self, name: str) -> bool:
        self.models.append(name)
        return name not in self.without

    async def tool(self, name: str, limit: int | None) -> None:
        del limit
        self.tools.append(name)
        _or_raise(self.deny if isinstance(self.deny, ToolLimited) else None)

    async def close(self, tokens: Sequence[int], charged_micros: int) -> None:
        self.closed.append((list(tokens), charged_micros))


class FakeGate:
    """A Gate with one decision for all; `asked` counts the requests it counted, `grants` are theirs."""

    def __init__(self, decision: RateLimit | None = ALLOWED) -> None:
        self.decision, self.asked = decision, 0
        self.knocked: list[str] = []
        self.shut: RateLimit | None = None
        self.grants: list[FakeGrant] = []
        self.needs: list[Need] = []
        self.deny: Exception | None = None
        self.reserved: Reserved | None = None

    async def knock(self, address: str) -> RateLimit | None:
        self.knocked.append(address)
        return self.shut

    async def admit(
        self, caller: Caller, turn_id: str, opened_at: int, model: str, weigh: Callable[[], Need]
    ) -> FakeGrant:
        del caller, turn_id, opened_at, model
        self.asked += 1
        self.needs.append(weigh())
        grant = FakeGrant(self.decision)
        grant.deny, grant.reserved = self.deny, self.reserved
        self.grants.append(grant)
        return grant

    async def peek(self, caller: Caller) -> RateLimit | None:
        del caller
        return self.decision


class Nothing(Struct, forbid_unknown_fields=True):
    """Arguments of a tool that nobody looks at."""


async def _unrun(arguments: Nothing, errand: Errand) -> str:
    raise NotImplementedError


class FakeTools:
    """Tools by name, each a coroutine function of its arguments; `ran` are the calls, in order.

    Everybody is offered the same; `errands` are what they were run for, `facts` what else is known of one.
    """

    def __init__(self, **tools: Callable[[Any], Awaitable[str]]) -> None:
        self._tools = tools
        self.facts: dict[str, dict[str, Any]] = {}
        self.definitions: Sequence[dict[str, Any]] = [{"name": name} for name in tools]
        self.ran: list[tuple[str, object]] = []
        self.errands: list[Errand] = []

    def offered_to(self, caller: Caller) -> "FakeTools":
        del caller
        return self

    def find(self, name: str) -> Tool:
        if name not in self._tools:
            raise ToolUnknown("There is no such tool.")
        known = self.facts.get(name, {})
        return Tool(name=name, description=name, arguments=Nothing, run=_unrun, **known)

    def check(self, name: str, arguments: object) -> None:
        del arguments
        self.find(name)

    async def run(self, name: str, arguments: object, errand: Errand) -> str:
        self.ran.append((name, arguments))
        self.errands.append(errand)
        return await self._tools[name](arguments)


class TurnHouse:
    """Turns over a model; `records` are those of every turn that is over, `terms` what they are run under."""

    def __init__(
        self,
        model: Model,
        tools: Any = None,
        *,
        gate: FakeGate | None = None,
        rounds: int = 3,
        conversations: Any = None,
        guards: Guards | None = None,
        fallbacks: tuple[str, ...] = (),
        **terms: float,
    ) -> None:
        self.sink = MemorySink()
        self.conversations = conversations or FakeConversations()
        seconds, above = terms.get("deadline", 30.0), int(terms.pop("count_above", 0))
        self.agent = Agent(
            model,
            tools or FakeTools(),
            Prices.load(),
            rounds,
            guards or Guards(),
            fallbacks,
            seconds,
            count_above=above,
        )
        self.gate, self._leases = gate or FakeGate(), Leases()
        self._terms = Terms(system="be brief", **{"deadline": 30.0, "grace": 0.0, **terms})
        self.equip()

    def equip(self, leases: Leases | None = None, **changes: Any) -> "TurnHouse":
        """Change the agent, or the leases of conversations; turns from now on are with what there is then."""
        self._leases = leases or self._leases
        self.agent = structs.replace(self.agent, **changes)
        self.turns = Turns(
            Recorder(guard([("memory", self.sink)]), ending_of),
            self.gate,
            self.agent,
            self._terms,
            Memory(self.conversations, microseconds, self._leases),
        )
        return self

    @property
    def records(self) -> list[TurnRecord]:
        return self.sink.records

    @asynccontextmanager
    async def listening(self, ask: FakeAsk | None = None) -> AsyncGenerator[RunningTurn]:
        """Start a turn and listen to it; at the end leave, and wait for its record."""
        running = self.turns.start(ask or FakeAsk())
        try:
            yield running
        finally:
            running.leave()
            await running.ended()

    async def whole(self, ask: FakeAsk | None = None) -> tuple[list[Event], TurnRecord]:
        """Run one turn to its end, listening to all of it."""
        async with self.listening(ask) as running:
            events = await hear_all(running)
            return events, await running.ended()


async def hear_all(running: RunningTurn) -> list[Event]:
    """Everything a turn says."""
    events: list[Event] = []
    while (event := await running.hear()) is not None:
        events.append(event)
    return events


def _question(turn_id: str) -> Question:
    return QUESTION if turn_id == "turn-1" else structs.replace(QUESTION, conversation_id=ids.uuid7())


def _or_raise(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value
