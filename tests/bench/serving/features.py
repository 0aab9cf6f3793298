"""What all features cost together: CPU of an answer with them on, off, and exported as OTLP, side by side.

Refuses the clock: what counts is what the process spent.
"""

from collections.abc import Mapping, Sequence

from tests.bench.serving.rounds import Row

PAIRS = {"features": ("parley", "parley, off"), "features and export": ("parley, OTLP", "parley, off")}


def costs(rows: Sequence[Row]) -> Mapping[str, float]:
    """Milliseconds of CPU that an answer costs more, by what is on and how many ask."""
    spent = {(row.system, row.kind, row.callers): row.cpu_ms for row in rows}
    return {
        f"{what}, {kind}, {callers}": spent[more, kind, callers] - spent[less, kind, callers]
        for what, (more, less) in PAIRS.items()
        for system, kind, callers in spent
        if system == more and (less, kind, callers) in spent
    }
