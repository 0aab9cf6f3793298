"""What an assistant may ask: each question with what it takes, and the route that answers it.

Refuses to judge what is asked beyond its form: who may ask it is the route's to say.
"""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct, field

from service.store.questions import Grouping
from telemetry.failure import Category
from telemetry.record import Outcome

EVENT_ID = "eventId"

Word = Annotated[str, Meta(min_length=1, max_length=256)]
When = Annotated[str, Meta(max_length=40, description="A date or a time of ISO 8601, such as 2026-01-31")]


class Nothing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question without more."""


class Span(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A span of time: `from` belongs to it, `to` does not."""

    since: When | None = field(default=None, name="from")
    until: When | None = field(default=None, name="to")


class Search(Span, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which events are meant; what is not given does not matter."""

    actor: Annotated[Word, Meta(description="Whose turns: the user's id")] | None = None
    outcome: Outcome | None = None
    category: Category | None = None
    tool: Annotated[Word, Meta(description="A tool that was called")] | None = None
    model: Word | None = None
    role: Word | None = None
    trace_id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")] | None = None
    entity_type: (
        Annotated[
            Word, Meta(description="AGENT_QUERY unless given: turns; AUDIT_ACCESS: looks at the audit; all")
        ]
        | None
    ) = None
    q: Annotated[str, Meta(min_length=1, max_length=1_000, description="Words of what was asked")] | None = (
        None
    )
    limit: Annotated[int, Meta(ge=1, le=200)] = 20
    cursor: Annotated[str, Meta(max_length=1_000, description="nextCursor of the page before")] | None = None


class One(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which event."""

    event_id: Annotated[Word, Meta(description="The event's id, as a search gives it")]


class Sums(Span, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What is added up."""

    group_by: Grouping = Grouping.USER


class Question(Struct, frozen=True, kw_only=True):
    """One question: how it is called and told, what it takes, and the route that answers it."""

    name: str
    description: str
    takes: type[Struct]
    path: str

    def address(self, arguments: Any) -> tuple[str, dict[str, str]]:
        """The path and the parameters of these arguments, which are of `takes`."""
        given = {
            name: str(value) for name, value in msgspec.to_builtins(arguments).items() if value is not None
        }
        return self.path.format(event=quote(given.pop(EVENT_ID, ""), safe="")), given


QUESTIONS: Sequence[Question] = (
    Question(
        name="audit_search",
        description=(
            "Lists audit events, newest first: who asked what of the agent, with which outcome, tools, "
            "tokens and cost. What was asked is masked unless the key may see it; to read it is recorded."
        ),
        takes=Search,
        path="/api/v1/audit/events",
    ),
    Question(
        name="audit_event",
        description="Gives one audit event by its id.",
        takes=One,
        path="/api/v1/audit/events/{event}",
    ),
    Question(
        name="audit_verify",
        description=(
            "Verifies the whole audit log by its chain and its signed checkpoints: whether any event was "
            "altered, inserted, deleted or reordered. May take minutes."
        ),
        takes=Nothing,
        path="/api/v1/audit/verify",
    ),
    Question(
        name="usage",
        description="Adds up turns, tokens and cost in US dollars, by user, role, model, tool or day.",
        takes=Sums,
        path="/api/v1/usage",
    ),
    Question(
        name="limits",
        description="Says how the key's own user stands with limits and budgets.",
        takes=Nothing,
        path="/api/v1/limits",
    ),
    Question(
        name="feedback",
        description="Counts what users said of their turns, thumbs up and down, by model.",
        takes=Span,
        path="/api/v1/feedback",
    ),
)
"""What there is to ask, in the order in which it is told."""
