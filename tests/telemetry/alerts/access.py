"""Trials of credentials that are wrong."""

from tests.telemetry.alerts.trial import Case, ticket

ACCESS = ("parley-access",)


def lines(kind: str) -> str:
    return f'parley_log_lines_total{{job="parley", type="{kind}"}}'


CASES = [
    Case(
        name="an address that is held off once",
        groups=ACCESS,
        interval="1m",
        series={lines("address_held_off"): "0x10 1x60"},
        expected={
            ("9m", "AddressHeldOff"): (),
            ("12m", "AddressHeldOff"): (
                ticket("Addresses were held off 1 times in 5m for wrong credentials.", job="parley"),
            ),
            ("40m", "AddressHeldOff"): (),
        },
    ),
    Case(
        name="many who are denied on all routes, and few",
        groups=ACCESS,
        interval="1m",
        series={lines("access_denied"): "0+5x20 100+40x20"},
        expected={
            ("15m", "AccessDeniedSpike"): (),
            ("35m", "AccessDeniedSpike"): (
                ticket("200 requests of all routes were denied in 5m (401, 403).", job="parley"),
            ),
        },
    ),
]
