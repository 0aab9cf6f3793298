"""Ratios between systems of one run, and whether they are worse than those that are kept.

Refuses to compare times of two runs: a machine is as fast as it is that day.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.serving.rounds import Row

KEPT = Path(__file__).parent.parent / "kept.json"
OURS = "parley"
MARGIN = 0.25
"""By how much a ratio may be worse than the kept one: rounds of one run differ by as much."""


def ratios(rows: Sequence[Row], ours: str = OURS) -> dict[str, float]:
    """Our rate over each stranger's, by system, kind and callers; none where the other's answers were bad.

    Where ours were, or there were none, the ratio is 0: what cannot be compared must not pass for good.
    """
    rates = {(row.kind, row.callers): 0.0 if row.bad else row.rate for row in rows if row.system == ours}
    return {
        f"{row.system}, {row.kind}, {row.callers}": round(rates[row.kind, row.callers] / row.rate, 3)
        for row in rows
        if not row.system.startswith(OURS) and row.rate and not row.bad and (row.kind, row.callers) in rates
    }


def worse(found: Mapping[str, float], kept: Mapping[str, float]) -> list[str]:
    """A sentence for each ratio that fell below what is kept."""
    return [
        f"{name}: {found[name]:.2f}, kept {known:.2f}"
        for name, known in kept.items()
        if name in found and found[name] < known * (1 - MARGIN)
    ]


def kept() -> dict[str, float]:
    """What is kept."""
    return json.loads(KEPT.read_text())["ratios"] if KEPT.exists() else {}


def keep(found: Mapping[str, float], conditions: Mapping[str, object]) -> None:
    """Keep these from now on; those of what this run did not measure stay."""
    told = {"conditions": conditions, "ratios": kept() | dict(found)}
    KEPT.write_text(json.dumps(told, indent=1) + "\n")
