"""What answers: a model with its tools and prices, and under what it is asked.

Refuses nothing: it is what a turn is given.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field

from service.agent.approval.approving import Approvers, Nobody
from service.agent.choice import Choice
from service.agent.cost import WINDOW, Prices
from service.agent.model import Model
from service.agent.upstream.guard import Guards
from service.tools import Errand, Tool
from telemetry.record import Caller


class Offered(Protocol):
    """The tools that the model of one caller is offered, for a whole turn."""

    @property
    def definitions(self) -> Sequence[Mapping[str, Any]]:
        """Name, description and input schema of each, in the Messages API's form."""
        ...

    def find(self, name: str) -> Tool:
        """What is known of one; raises ToolUnknown or ToolForbidden."""
        ...

    def check(self, name: str, arguments: object) -> None:
        """Raise ToolFailed where a call's arguments do not fit."""
        ...

    async def run(self, name: str, arguments: object, errand: Errand) -> str:
        """Run one; raises ToolFailed with a sentence that is safe to tell."""
        ...


class Tools(Protocol):
    """The tools there are."""

    def offered_to(self, caller: Caller) -> Offered:
        """Those that this caller's model may use now."""
        ...


class Agent(Struct, frozen=True):
    """What answers: a model, its tools, what it costs, and how often it may ask for tools in one turn.

    `fallbacks` are the models that are asked in place of one that cannot answer, in this order. `seconds` is
    how long a turn may take, `context_tokens` what bounds every model's window. Prompts that are
    guessed to have more than `count_above` tokens are counted by the model's API; 0: none. A turn may call
    tools `max_calls` times, over all rounds, and cost what `turn_micros` gives; None: anything.
    """

    model: Model
    tools: Tools
    prices: Prices
    max_rounds: int
    guards: Guards = field(default_factory=Guards)
    fallbacks: tuple[str, ...] = ()
    seconds: float = float("inf")
    choice: Choice = field(default_factory=Choice)
    context_tokens: int = WINDOW
    approvers: Approvers = field(default_factory=Nobody)
    count_above: int = 0
    max_calls: int = 32
    turn_micros: Callable[[], int | None] = lambda: None

    def window(self, model: str) -> int:
        """How many tokens a prompt and its answer may have together."""
        return min(self.prices.window(model), self.context_tokens)

    def instead_of(self, model: str, caller: Caller | None) -> Sequence[str]:
        """The models to ask where this one cannot answer, as far as the caller may."""
        role = caller.role if caller else ""
        return [each for each in self.fallbacks if each != model and self.choice.allows(role, each)]
