"""Where the pages lead to, by what the caller may do. A new page is one line here.

Refuses to lead anybody to what would be refused.
"""

from collections.abc import Iterator

from msgspec import Struct

from service.auth.permissions import Action, may
from telemetry.record import Caller


class Way(Struct, frozen=True):
    """An entry: where to, what it is called, what it is good for, and what one must be allowed to."""

    path: str
    name: str
    about: str
    action: Action


PAGES = (
    Way("/console/chat", "Chat", "Ask, and see what is done to answer.", Action.CHAT),
    Way("/console/queries", "Queries", "Your latest ones, each with all that was done for it.", Action.OWN),
    Way("/console/audit", "Audit", "Who asked what, and the proof that it was so.", Action.AUDIT),
    Way("/console/operations", "Operations", "How the house stands, as it happens.", Action.OPERATIONS),
    Way(
        "/console/settings",
        "Settings",
        "The rules that hold now; what each role may.",
        Action.SETTINGS,
    ),
    Way("/console/keys", "Keys", "API keys: who has one, making and revoking them.", Action.KEYS),
    Way("/console/sessions", "Sessions", "Where you are signed in, and the way out of it.", Action.OWN),
)
"""The console's own pages, in the order they are shown."""

ROUTES = (
    Way("/schema", "API", "Every route, with examples.", Action.OWN),
    Way("/api/v1/conversations", "Conversations", "Your own, as JSON.", Action.OWN),
    Way("/api/v1/limits", "Limits", "What is left of yours, as JSON.", Action.OWN),
    Way("/api/v1/usage", "Usage", "What was asked and what it cost, as JSON.", Action.OWN),
    Way("/api/v1/audit/events", "Audit events", "Who asked what, as JSON.", Action.AUDIT),
    Way("/api/v1/audit/export", "Audit export", "All of it, as JSON lines.", Action.EXPORT),
)
"""What a page may link to besides."""


def open_to(caller: Caller, ways: tuple[Way, ...]) -> Iterator[Way]:
    """Those that this caller may go."""
    return (way for way in ways if may(caller, way.action))
