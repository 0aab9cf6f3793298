"""What callers were told of their turns: all that a test may hold the audit to.

Refuses to guess: a turn whose id never reached its caller is only known to have been asked.
"""

from enum import StrEnum

from msgspec import Struct


class State(StrEnum):
    """How much of an answer came; `asked` means not even the turn's id."""

    ASKED = "asked"
    BEGAN = "began"
    TOLD = "told"


class Heard(Struct, kw_only=True):
    """One turn as its caller knows it.

    `ask` is unique among all asks of a round. `outcome` and what follows it are known once it was told:
    `answered`, `refused` or `failed` as the caller sees it, costs in millionths of a dollar. `status` is
    that of an answer over HTTP, once its head came.
    """

    ask: str
    id: str | None = None
    status: int | None = None
    state: State = State.ASKED
    outcome: str | None = None
    code: str | None = None
    input: int = 0
    output: int = 0
    cost: int = 0
    length: int = 0
    left: bool = False
    """Whether the caller itself hung up."""
