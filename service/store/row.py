"""One audit event as any room may hand it to the store; read only.

Refuses to say where it comes from: a turn, a journal, or a database of an earlier form.
"""

from enum import Enum
from typing import Protocol


class Erased(Enum):
    """Stands in a row's place of content that was there and is no more."""

    ERASED = "erased"


class AuditRow(Protocol):
    """One audit event as any room may hand it over; read only."""

    @property
    def id(self) -> str:
        """UUIDv7; the same event always has the same."""
        ...

    @property
    def entity_type(self) -> str:
        """Kind of what the event is about, such as AGENT_QUERY."""
        ...

    @property
    def entity_id(self) -> str:
        """Which one: the turn's id."""
        ...

    @property
    def action(self) -> str:
        """What was done: QUERY, REFUSED and so on."""
        ...

    @property
    def actor_id(self) -> str | None:
        """Who did it; None where nobody was authenticated."""
        ...

    @property
    def role(self) -> str | None:
        """The actor's role."""
        ...

    @property
    def outcome(self) -> str | None:
        """How it ended."""
        ...

    @property
    def category(self) -> str | None:
        """Category of the failure."""
        ...

    @property
    def code(self) -> str | None:
        """Code of the failure."""
        ...

    @property
    def model(self) -> str | None:
        """The model that was asked."""
        ...

    @property
    def trace_id(self) -> str | None:
        """32 hex digits."""
        ...

    @property
    def request_id(self) -> str | None:
        """The X-Request-Id of the answer."""
        ...

    @property
    def input_tokens(self) -> int:
        """Tokens in, cached ones included."""
        ...

    @property
    def output_tokens(self) -> int:
        """Tokens out."""
        ...

    @property
    def cost_micros(self) -> int:
        """Millionths of a US dollar."""
        ...

    @property
    def response_time_ms(self) -> int | None:
        """The turn's whole time in milliseconds."""
        ...

    @property
    def count(self) -> int:
        """How many like events this one stands for; at least 1."""
        ...

    @property
    def metadata(self) -> str:
        """A JSON object, canonical, without the query."""
        ...

    @property
    def query(self) -> str | Erased | None:
        """What the caller wrote; None where nothing was or nothing is kept."""
        ...

    @property
    def arguments(self) -> str | None:
        """A JSON list of what tools were called with, each with its call and salt; None for none."""
        ...

    @property
    def created_at(self) -> int:
        """Microseconds since 1970 (UTC)."""
        ...

    @property
    def lease(self) -> str | None:
        """What money was put aside under for it: its own id, or a chunk's; None where none was."""
        ...

    @property
    def charged_micros(self) -> int:
        """What budgets are charged where that is more than the cost: of a turn whose end nobody saw."""
        ...

    @property
    def writer(self) -> str | None:
        """The journal it comes from; None where it was never journaled."""
        ...

    @property
    def writer_seq(self) -> int | None:
        """Its number there, from 1, without gaps."""
        ...

    @property
    def writer_low(self) -> int | None:
        """The least number there that was not closed when this row was."""
        ...
