"""Whether a question may ask to be shown what its model thinks, and with how many tokens.

Refuses what the model would refuse, by the field's name, before anything is spent.
"""

from service.agent.model import Thinking
from service.agent.upstream import abilities
from service.errors import InvalidRequest
from telemetry.failure import FieldError


def require(thinking: Thinking | None, model: str, max_tokens: int) -> None:
    """Let a question go on whose model takes what it asks for.

    Raises:
        InvalidRequest: naming the field that does not fit the model.
    """
    if thinking is not None and (wrong := _wrong(thinking, model, max_tokens)):
        raise InvalidRequest("The model does not think in this way.", fields=(wrong,))


def _wrong(thinking: Thinking, model: str, max_tokens: int) -> FieldError | None:
    thinks = abilities.of(model).thinks
    if thinks == "never":
        return FieldError("thinking", f"{model} is not known to show what it thinks")
    if thinks == "adaptive" and thinking.budget_tokens is not None:
        return FieldError("thinkingBudgetTokens", f"{model} decides itself how long it thinks")
    if thinks == "budget" and max_tokens < 2 * abilities.LEAST_BUDGET:
        return FieldError("maxTokens", f"Expected `int` >= {2 * abilities.LEAST_BUDGET} where {model} thinks")
    return None
