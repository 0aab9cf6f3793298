"""Asks the model's API how many tokens a large prompt has, before money and tokens are put aside for it.

Refuses to fail a turn: where nobody counts, a token is taken for a byte.
"""

from msgspec import structs

from service.agent import worst
from service.agent.agent import Agent
from service.agent.model import Counting, Measured, Prompt
from service.errors import UpstreamError, classify
from telemetry import names
from telemetry.recorder import OpenTurn


def wanted(agent: Agent, prompt: Prompt) -> bool:
    """Whether a prompt is large, by a guess, and its model's API counts."""
    above = agent.count_above
    return bool(above) and worst.guess(prompt) > above and isinstance(agent.model, Counting)


async def measure(agent: Agent, turn: OpenTurn, prompt: Prompt) -> Prompt:
    """The prompt with its tokens counted, which is `wanted`; as it is where nobody counts it."""
    model = agent.model
    if not isinstance(model, Counting):
        return prompt
    with turn.token_count(prompt.model, {names.PROVIDER_NAME: agent.model.provider}) as draft:
        try:
            agent.guards.of(prompt.model).check()
            tokens = await model.count(prompt)
        except UpstreamError as error:
            draft.failed(classify(error))
            return prompt
        draft.counted(tokens)
    measured = Measured(model=prompt.model, messages=len(prompt.messages), tokens=tokens)
    return structs.replace(prompt, measured=measured)
