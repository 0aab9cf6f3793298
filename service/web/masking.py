"""An audit event for somebody who may see what happened and not what was said.

Refuses to tell whether there was any content, but for what its owner had erased or keeps sealed.
"""

from typing import TypeVar

from msgspec import structs

from service.store.event import Event

MASKED = "masked"
Shown = TypeVar("Shown", bound=Event)


def masked(event: Shown) -> Shown:
    """The event without its query."""
    state = event.metadata.get("content") or MASKED
    return structs.replace(event, metadata={**event.metadata, "query": None, "content": state})
