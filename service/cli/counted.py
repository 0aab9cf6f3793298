"""What is counted for a user, as far as a command can know it: in a shared store, which it asks itself.

Refuses to wait long for a store that does not answer: then nothing is known.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from config.settings import Limits, Settings
from service.cli import state
from service.cli.asking import Desk
from service.limits.demand import Demand, Standing
from service.limits.rules import MARGIN_MS, Rules
from service.limits.store import Store, StoreAway
from telemetry.person import person_of
from telemetry.record import Caller

MEMORY = "memory://"
PATIENCE = 2.0
"""Seconds; no caller waits here."""
T = TypeVar("T")


def rules_of(settings: Settings) -> Rules:
    """The rules as the service has them."""
    return Rules(settings.limits, settings.model.turn_timeout_ms + MARGIN_MS)


def kind_of(limits: Limits) -> str:
    """What the store is, without its address, which may hold a password."""
    return "memory" if limits.store == MEMORY else "redis"


async def caller_of(desk: Desk, user: str) -> Caller | None:
    """A user of the tenant that was given in the role they had last; None for somebody nobody has seen."""
    person = person_of(user, desk.given.tenant)
    return await desk.database.seen_last(person, state.derived(desk.settings).pseudonym(person))


async def standings(settings: Settings, demand: Demand) -> Sequence[Standing] | None:
    """How the parts of a demand stand in the shared store; None where nobody can say."""
    if kind_of(settings.limits) == "memory":
        return None
    with suppress(StoreAway):
        return (await shared(settings.limits, lambda store: store.peek(demand))).standings
    return None


async def shared(limits: Limits, work: Callable[[Store], Awaitable[T]]) -> T:
    """Do something with the shared store.

    Raises:
        StoreAway: it did not answer.
    """
    from service.limits.redis import RedisStore  # noqa: PLC0415 - the driver is loaded where it is used

    store = RedisStore(limits.store, patience=PATIENCE)
    try:
        return await work(store)
    finally:
        await store.close()


def why(settings: Settings) -> str:
    """Why it is not known what remains, and who knows."""
    if kind_of(settings.limits) == "memory":
        return "what remains is in the running service: GET /api/v1/limits/USER says it"
    return "the store of the limits does not answer: what remains is not known"
