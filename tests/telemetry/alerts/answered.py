"""Trials of the burn rates: by the share that fails, exactly these windows burn."""

from tests.telemetry.alerts.spikes import errors, turns
from tests.telemetry.alerts.trial import Case, Fired

GROUPS = ("parley-answered",)
WINDOWS = ("1h", "6h", "1d", "3d")
BURNING = {
    # thousandths that fail -> how many of the slowest windows burn, at 99 % and at 99.9 %
    200: (4, 4),
    80: (3, 4),
    40: (2, 4),
    20: (1, 4),
    8: (0, 3),
    4: (0, 2),
    2: (0, 1),
    0.5: (0, 0),
}


def stands(slo: str, window: str, percent: str) -> Fired:
    severity = "page" if slo == "99" and window in {"1h", "6h"} else "ticket"
    told = f"{percent} of turns failed in {window}; {slo} % are to be answered."
    return Fired(severity, told, {"job": "parley", "slo": slo, "window": window})


def burn(thousandths: float) -> Case:
    percent = f"{thousandths / 10:g}%"
    expected = {
        ("70m", f"AnsweredShare{slo.replace('.', '')}"): tuple(
            stands(slo, window, percent) for window in WINDOWS[len(WINDOWS) - number :]
        )
        for slo, number in zip(("99", "99.9"), BURNING[thousandths], strict=True)
    }
    return Case(
        name=f"{percent} of turns fail",
        groups=GROUPS,
        series={
            turns("answered"): f"0+{1000 - thousandths}x200",
            errors("agent_service", "provider"): f"0+{thousandths}x200",
        },
        expected=expected,
    )


CASES = [
    *map(burn, BURNING),
    Case(
        name="an outage that is over burns no more over its short window",
        groups=GROUPS,
        series={turns("answered"): "0+100x300", errors("network", "provider"): "0+100x40 4000x260"},
        expected={
            ("20m", "AnsweredShare99"): tuple(stands("99", window, "50%") for window in WINDOWS),
            ("100m", "AnsweredShare99"): tuple(stands("99", window, "16.67%") for window in ("1d", "3d")),
            ("149m", "AnsweredShare99"): (stands("99", "3d", "11.83%"),),
        },
    ),
    Case(
        name="four failures of a handful of turns are too few to say",
        groups=GROUPS,
        series={turns("answered"): "0x100 6x100", errors("network", "provider"): "0x100 4x100"},
        expected={("52m", "AnsweredShare99"): (), ("60m", "AnsweredShare999"): ()},
    ),
]
