"""Trials of the spikes: every category, and everything that is none."""

from random import Random

from telemetry.failure import RULES
from tests.telemetry.alerts.trial import ALERTS, EVERYTHING, Case, Fired, info, page, silent, ticket

GROUPS = ("parley-answered", "parley-spikes")
SPIKES = {
    "CredentialGuessing": ("authentication", "caller", ticket),
    "AuthorizationSpike": ("authorization", "caller", info),
    "ValidationSpike": ("validation", "caller", info),
    "RateLimitSpike": ("rate_limit", "policy", ticket),
    "UpstreamRateLimitSpike": ("rate_limit", "provider", page),
    "DatabaseSpike": ("database", "service", page),
    "AgentServiceSpike": ("agent_service", "provider", page),
    "NetworkSpike": ("network", "provider", page),
    "UnknownSpike": ("unknown", "service", page),
}
PAGES = tuple(name for name, alert in ALERTS.items() if alert.severity == "page")
KINDS = sorted({(rule.category.value, rule.fault.value) for rule in RULES.values()})


OF_ERRORS = (*SPIKES, "AnsweredShare99", "AnsweredShare999")


def errors(category: str, fault: str, instance: str = "a") -> str:
    return (
        f'parley_errors_total{{job="parley", instance="{instance}", category="{category}", fault="{fault}"}}'
    )


def turns(outcome: str, instance: str = "a") -> str:
    return f'parley_turns_total{{job="parley", instance="{instance}", outcome="{outcome}"}}'


def noise(seed: int, most: int, steps: int) -> str:
    """A counter that grows by 0 to `most` a step."""
    random, count, values = Random(seed), 0, []  # noqa: S311 - not a secret
    for _ in range(steps):
        count += random.randint(0, most)
        values.append(str(count))
    return " ".join(values)


def first_ever(kind: tuple[str, str]) -> Case:
    """On a quiet day: one answer in five minutes, a lot is silent that would not be at noon."""
    return Case(
        name=f"the first {' '.join(kind)} error ever",
        groups=GROUPS,
        series={errors(*each): "0x100" for each in KINDS if each != kind}
        | {errors(*kind): "0x60 1x40", turns("answered"): "0+0.1x100"},
        expected=silent("30m", *OF_ERRORS) | silent("31m", *OF_ERRORS) | silent("45m", *OF_ERRORS),
    )


def summary(category: str, number: int) -> str:
    return f"{number} {category.replace('_', ' ')} errors in 5m, over three times the hour before."


def stands(name: str) -> tuple[Fired, ...]:
    category, _, told = SPIKES[name]
    return (told(summary(category, 300), job="parley", category=category),)


def of_every_spike(values: str) -> dict[str, str]:
    return {errors(category, fault): values for category, fault, _ in SPIKES.values()} | {
        turns("answered"): "0+20x300"
    }


CASES = [
    Case(
        name="an hour of little noise, then 60 errors a minute of each category, and their end",
        groups=GROUPS,
        series=of_every_spike("0+0.1x140 14+30x40 1214+0.1x100"),
        expected=silent("69m", *SPIKES)
        | {("80m", name): stands(name) for name in SPIKES}
        | silent("105m", *SPIKES),
    ),
    Case(
        name="no history: nothing was ever wrong, and ten minutes after the start much is",
        groups=GROUPS,
        series=of_every_spike("0x20 0+30x60"),
        expected=silent("9m", *SPIKES) | {("18m", name): stands(name) for name in SPIKES},
    ),
    Case(
        name="steady noise of every kind is none",
        groups=GROUPS,
        series={errors(*kind): noise(number, 20, 260) for number, kind in enumerate(KINDS)}
        | {turns("answered"): "0+20x400"},
        expected={key: () for at in ("40m", "60m", "80m", "100m", "125m") for key in silent(at, *SPIKES)},
    ),
    Case(
        name="what callers do wrong and what limits refuse pages nobody, however much it is",
        groups=EVERYTHING,
        series={errors(*kind): "0x140 0+200x60" for kind in KINDS if kind[1] in {"caller", "policy"}}
        | {turns("answered"): "0+1x200", turns("refused"): "0x140 0+800x60"},
        expected=silent("72m", *PAGES) | silent("80m", *PAGES) | silent("95m", *PAGES),
    ),
    Case(
        name="of a flood of errors callers make, guessing is a ticket",
        groups=GROUPS,
        series={errors(*kind): "0x140 0+200x60" for kind in KINDS if kind[1] == "caller"},
        expected={
            ("80m", "CredentialGuessing"): (
                ticket(summary("authentication", 2000), job="parley", category="authentication"),
            )
        },
    ),
    Case(
        name="a restart: counters begin anew, under a new instance too",
        groups=GROUPS,
        series={errors(*kind): "500+0.1x140 0+0.1x60" for kind in KINDS}
        | {errors(*kind, "b"): "_x140 0+0.1x60" for kind in KINDS}
        | {turns("answered"): "9000+1000x140 0+1000x60", turns("answered", "b"): "_x140 0+1000x60"},
        expected={
            key: ()
            for at in ("70m", "71m", "72m", "75m", "90m")
            for key in silent(at, *SPIKES, "AnsweredShare99")
        },
    ),
    Case(
        name="zero traffic",
        groups=EVERYTHING,
        series={errors(*kind): "0x200" for kind in KINDS} | {turns("answered"): "0x200"},
        expected=silent("10m") | silent("95m"),
    ),
    Case(
        name="nothing at all, but that it is nothing",
        groups=EVERYTHING,
        series={},
        expected=silent("20m", *(name for name in ALERTS if name != "TelemetryAbsent")),
    ),
    *map(first_ever, KINDS),
    Case(
        name="a share of the traffic that is nothing, though it is above floor and baseline",
        groups=GROUPS,
        series={turns("answered"): "0+9000x200", errors("network", "provider"): "0x140 0+5x60"},
        expected={("80m", "NetworkSpike"): ()},
    ),
]
