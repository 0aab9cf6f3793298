"""A trace as text: a line a step, deeper below its parent, with when it began, how long it took, and a bar.

Refuses anything but what every terminal shows.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from service.cli.terminal import plain

BAR = 30
"""Characters that the whole time takes."""


class Step(Struct, frozen=True, kw_only=True, rename="camel"):
    """One step and those within it; times are milliseconds, the first since the first step began.

    They are None where a record that is older than this version does not say.
    """

    name: str
    started_after_ms: float | None = None
    milliseconds: float | None = None
    note: str = ""
    steps: tuple["Step", ...] = ()


def draw(steps: Sequence[Step]) -> Iterator[str]:
    """All of them, one below the other."""
    lines = [*_flat(steps, 0)]
    names = max((len(_named(*each)) for each in lines), default=0)
    whole = max((_end(step) for step, _ in lines), default=0)
    for step, depth in lines:
        times = f"{_said(step.started_after_ms)} {_said(step.milliseconds)}"
        yield f"{_named(step, depth):<{names}} {times}  {_bar(step, whole)}  {plain(step.note)}".rstrip()


def _flat(steps: Sequence[Step], depth: int) -> Iterator[tuple[Step, int]]:
    for step in steps:
        yield step, depth
        yield from _flat(step.steps, depth + 1)


def _named(step: Step, depth: int) -> str:
    return f"{'  ' * depth}{plain(step.name)}"


def _end(step: Step) -> float:
    return (step.started_after_ms or 0) + (step.milliseconds or 0)


def _said(milliseconds: float | None) -> str:
    return f"{'-' if milliseconds is None else f'{milliseconds:,.0f}':>9} ms"


def _bar(step: Step, whole: float) -> str:
    """One character at least, within the width."""
    if step.started_after_ms is None or not whole:
        return " " * BAR
    begin = min(BAR - 1, int(step.started_after_ms / whole * BAR))
    length = max(1, round((step.milliseconds or 0) / whole * BAR))
    return (" " * begin + "=" * length)[:BAR].ljust(BAR)
