"""Tools as one caller's model is offered them, and how to run one without a turn."""

from msgspec import structs

from service.tools import Errand, Registry, calculate, current_time
from service.tools.offer import Offer
from tests.harness.agent import CALLER

ERRAND = Errand(caller=CALLER, turn_id="turn-1", call_id="c1")


def built_in() -> Registry:
    """Those of ours that need nothing else."""
    return Registry((calculate.TOOL, current_time.TOOL))


def offered(registry: Registry, role: str = CALLER.role) -> Offer:
    """What somebody in this role is offered."""
    return registry.offered_to(structs.replace(CALLER, role=role))


async def run(registry: Registry, name: str, arguments: object) -> str:
    """Run one for CALLER."""
    return await offered(registry).run(name, arguments, ERRAND)
