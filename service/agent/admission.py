"""What stands before a turn's first question to the model: everything that may refuse it.

Refuses in the contract's order: address, caller, body, model, conversation, limits and money, audit.
"""

import asyncio

from msgspec import structs

from service.agent import counting, thinking, worst
from service.agent.agent import Agent, Offered
from service.agent.asked import Ask, Question
from service.agent.conversation import attached
from service.agent.conversation.memory import Memory, Talk, Topic
from service.agent.framing import Frame, instructed
from service.agent.granted import Ceiling, Gate, Grant
from service.agent.keeping import Keeping
from service.agent.model import Prompt
from service.agent.running import RunningTurn
from service.agent.tooling import Means
from service.errors import RateLimited
from service.limits.need import Need
from telemetry.record import Caller, Decision
from telemetry.recorder import OpenTurn


class Admission:
    """Lets turns in, and gives each what it is to work with.

    `system` is what the model is told before every conversation.
    """

    def __init__(self, gate: Gate, agent: Agent, memory: Memory, keeping: Keeping, system: str) -> None:
        self._gate, self._agent, self._memory, self._keeping = gate, agent, memory, keeping
        self._system = system

    async def admit(self, running: RunningTurn, turn: OpenTurn, ask: Ask) -> tuple[Prompt, Means]:
        """Everything that may refuse a turn, in the contract's order."""
        await self._knock(turn, ask.address)
        caller = await ask.caller()
        turn.identified(caller)
        asked = await asyncio.to_thread(ask.question) if ask.heavy else ask.question()
        question = self._chosen(caller, asked)
        turn.asked(
            conversation_id=question.conversation_id,
            model=question.model,
            query=question.message,
            streamed=question.streamed,
            attachments=tuple(each.fact for each in question.attachments),
        )
        running.asked = attached.remembered(question.message, question.attachments)
        self._agent.choice.require(caller.role, question.model)
        thinking.require(question.thinking, question.model, question.max_tokens)
        talk = await self._hold(running, ask, caller, question)
        offered = self._agent.tools.offered_to(caller)
        fitted = talk.continued(self._prompt(question, offered))
        prompt = fitted.prompt
        turn.remembered(fitted.history if question.continues else None)
        prompt = await self._counted(turn, caller, prompt)
        grant = await self._limit(running, turn, caller, prompt)
        turn.admitted()
        self._keeping.require(ask.turn_id)
        approving = self._agent.approvers.of_turn(turn, self._agent.seconds)
        return prompt, self._means(turn, Means(offered, grant, caller, approving))

    def _means(self, turn: OpenTurn, means: Means) -> Means:
        """The same within what one turn may cost and call."""
        agent, conversation = self._agent, turn.opening.conversation_id or ""
        allowing = Ceiling(means.allowing, agent.turn_micros())
        frame = Frame(conversation)
        return structs.replace(means, allowing=allowing, frame=frame, max_calls=agent.max_calls)

    def _chosen(self, caller: Caller, question: Question) -> Question:
        """The question with the model that is asked, whether it names one or not."""
        model = self._agent.choice.preferred(caller.role, question.model)
        return structs.replace(question, model=model)

    async def _hold(self, running: RunningTurn, ask: Ask, caller: Caller, question: Question) -> Talk:
        """Take what the turn needs for itself alone, the last of it its conversation."""
        if claim := ask.claim(caller):
            running.holds.append(claim)  # before it is taken: a turn that is cancelled meanwhile lets go too
            await claim.take()
        talk = Talk(self._memory, _topic(caller, question, self._agent.window(question.model)), ask.turn_id)
        running.holds.append(talk)
        await talk.take()
        return talk

    async def _knock(self, turn: OpenTurn, address: str) -> None:
        """The only limit that needs no name, so that it can stand before the question who asks."""
        limit = await self._gate.knock(address)
        turn.decided(limit)
        if limit and limit.decision is Decision.DENIED:
            raise RateLimited(limit)

    async def _counted(self, turn: OpenTurn, caller: Caller, prompt: Prompt) -> Prompt:
        """A large prompt with its tokens counted; not for a caller who is about to be refused anyway."""
        if not counting.wanted(self._agent, prompt):
            return prompt
        standing = await self._gate.peek(caller)
        refused = standing is not None and not standing.remaining
        return prompt if refused else await counting.measure(self._agent, turn, prompt)

    async def _limit(self, running: RunningTurn, turn: OpenTurn, caller: Caller, prompt: Prompt) -> Grant:
        def weigh() -> Need:
            others = self._agent.instead_of(prompt.model, caller)
            return worst.of_turn(prompt, self._agent.prices, self._agent.max_rounds, others)

        opening = turn.opening
        running.grant = await self._gate.admit(
            caller, opening.turn_id, opening.opened_at, prompt.model, weigh
        )
        turn.decided(running.grant.limit)
        turn.reserved(running.grant.reserved)
        if running.grant.refusal:
            raise running.grant.refusal
        return running.grant

    def _prompt(self, question: Question, offered: Offered) -> Prompt:
        return Prompt(
            model=question.model,
            system=instructed(self._system) if offered.definitions else self._system,
            messages=(attached.asking(question.message, question.attachments),),
            tools=offered.definitions,
            max_tokens=question.max_tokens,
            schema=question.schema,
            attached_tokens=sum(each.tokens for each in question.attachments),
            thinking=question.thinking,
        )


def _topic(caller: Caller, question: Question, window: int) -> Topic:
    return Topic(
        user_id=caller.person,
        conversation_id=question.conversation_id,
        message=question.message,
        model=question.model,
        named=question.continues,
        window=window,
    )
