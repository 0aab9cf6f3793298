"""Settings and a caller -> what a store is asked: one place says which rule holds for whom.

Refuses nothing: a limit that is not set makes no rule.
"""

from collections.abc import Iterator, Mapping

from config.settings import Limits
from service.limits.demand import Demand, Kind, Part, Rule
from telemetry.record import Caller

MINUTE_MS = 60_000
ROLE, TENANT, MODEL, TOOL, ADDRESS = "role", "tenant", "model", "tool", "address"
TOKENS, CONCURRENCY = "tokens", "concurrency"
SEPARATOR = "\x1f"
MARGIN_MS = 60_000
"""After a turn's deadline, when what it holds is given up."""


class Rules:
    """The rules of the settings. `limits` may be replaced while the service runs; the next demand has it.

    Args:
        limits: What is set.
        lease_ms: The longest that a turn can be under way; its lease ends then, whatever became of it.
    """

    def __init__(self, limits: Limits, lease_ms: int) -> None:
        self.limits, self._lease_ms = limits, lease_ms
        self._own: dict[str, int] = {}

    def of_address(self, address: str) -> Demand | None:
        """What is asked before anybody is known."""
        if not self.limits.address:
            return None
        rule = self._count(ADDRESS, self.limits.address)
        return Demand(tag=f"{ADDRESS}{SEPARATOR}{address}", parts=(Part(rule=rule, subject=address),))

    def of_turn(self, caller: Caller, lease: str, model: str | None, tokens: int) -> Demand:
        """What is asked for one turn, the role's requests first; without a model how the caller stands."""
        parts = (*self._counts(caller, model), *self._tokens(caller, tokens), self._lease(caller))
        return Demand(tag=_tag(caller), parts=parts, lease=lease)

    def of_call(self, caller: Caller, tokens: int) -> Demand | None:
        """What is asked for one more model call within a turn; None where tokens are not limited."""
        parts = tuple(self._tokens(caller, tokens))
        return Demand(tag=_tag(caller), parts=parts) if parts else None

    def of_model(self, caller: Caller, model: str) -> Demand | None:
        """What is asked for a model that a turn was not let in for; None where that model is not limited."""
        return self._of_one(caller, MODEL, model, (self.limits.models or {}).get(model))

    def of_tool(self, caller: Caller, tool: str, own: int | None = None) -> Demand | None:
        """What is asked for one call of a tool; None where neither the settings nor its `own` limit it."""
        if own:
            self._own[tool] = own  # so that it can be forgotten with the rest of what is counted
        return self._of_one(caller, TOOL, tool, self._tools().get(tool))

    def _of_one(self, caller: Caller, name: str, subject: str, limit: int | None) -> Demand | None:
        if not limit:
            return None
        part = Part(rule=self._count(name, limit), subject=f"{caller.person}{SEPARATOR}{subject}")
        return Demand(tag=_tag(caller), parts=(part,))

    def of_caller(self, caller: Caller) -> Demand:
        """All that is counted for a caller alone; what a tenant's users did together is not."""
        turn = self.of_turn(caller, "", None, 1)
        own = (part for part in turn.parts if part.rule.name != TENANT)
        return Demand(tag=turn.tag, parts=(*own, *self._each(caller)))

    def limit_of(self, role: str) -> int:
        """The requests that a role may send in a window."""
        return self.limits.roles.get(role, self.limits.requests)

    def _counts(self, caller: Caller, model: str | None) -> Iterator[Part]:
        yield Part(rule=self._count(ROLE, self.limit_of(caller.role)), subject=caller.person)
        if caller.tenant and self.limits.tenant:
            yield Part(rule=self._count(TENANT, self.limits.tenant), subject=caller.tenant)
        limit = (self.limits.models or {}).get(model or "")
        if limit:
            yield Part(rule=self._count(MODEL, limit), subject=f"{caller.person}{SEPARATOR}{model}")

    def _each(self, caller: Caller) -> Iterator[Part]:
        for name, limits in ((MODEL, self.limits.models or {}), (TOOL, self._tools())):
            for each, limit in limits.items():
                yield Part(rule=self._count(name, limit), subject=f"{caller.person}{SEPARATOR}{each}")

    def _tools(self) -> Mapping[str, int]:
        return {**self._own, **(self.limits.tools or {})}

    def _tokens(self, caller: Caller, tokens: int) -> Iterator[Part]:
        if self.limits.tokens_per_minute:
            rule = Rule(
                name=TOKENS, kind=Kind.QUANTITY, limit=self.limits.tokens_per_minute, window_ms=MINUTE_MS
            )
            yield Part(rule=rule, subject=caller.person, cost=max(1, tokens))

    def _lease(self, caller: Caller) -> Part:
        rule = Rule(
            name=CONCURRENCY, kind=Kind.LEASE, limit=self.limits.concurrency, window_ms=self._lease_ms
        )
        return Part(rule=rule, subject=caller.person)

    def _count(self, name: str, limit: int) -> Rule:
        return Rule(name=name, kind=Kind.COUNT, limit=limit, window_ms=self.limits.window_ms)


def _tag(caller: Caller) -> str:
    """What all keys of a demand have in common: the tenant where there is one, for its count is in it."""
    return f"{TENANT}{SEPARATOR}{caller.tenant}" if caller.tenant else caller.user_id
