"""A request as a turn is given it: who asks and what, each looked at when the turn comes to it.

Refuses to know how it came: a route makes one of a request.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from service.agent.conversation.attached import Attached
from service.agent.hold import Hold
from service.agent.model import Thinking
from telemetry.record import Caller


class Question(Struct, frozen=True, kw_only=True):
    """What a caller asks, decoded and valid; `model` is empty where it names none."""

    message: str
    conversation_id: str
    model: str
    max_tokens: int
    streamed: bool
    continues: bool = False
    """Whether the caller named the conversation, so that it may be there."""
    schema: Mapping[str, Any] | None = None
    """The JSON schema that the answer has to fit, looked through."""
    attachments: tuple[Attached, ...] = ()
    thinking: Thinking | None = None
    """None: nobody is shown what the model thinks."""


class Ask(Protocol):
    """A request, before anything of it is believed."""

    turn_id: str
    route: str
    client_request_id: str | None
    address: str
    """Where it comes from."""
    whom: str
    """Who seems to ask: orders those who wait for a place."""
    heavy: bool
    """Whether to look at the question takes long enough to be done in a thread."""

    async def caller(self) -> Caller:
        """Who asks; raises Unauthenticated, Forbidden or DatabaseError."""
        ...

    def question(self) -> Question:
        """What is asked; raises the Refusal that fits."""
        ...

    def claim(self, caller: Caller) -> "Claim | None":
        """The turn's hold on the request's Idempotency-Key; None where it has none."""
        ...


class Claim(Hold, Protocol):
    """A hold on an Idempotency-Key."""

    async def take(self) -> None:
        """Hold it; raises Conflict, IdempotencyMismatch or DatabaseError."""
        ...
