"""Spikes: more errors of a category than an absolute floor and than three times its own hour before.

Refuses numbers of its own: telemetry/spike.py has them, for the alarm without Prometheus too.
"""

from collections.abc import Mapping
from types import MappingProxyType

from telemetry.alerts.rule import Advice, Alert, Group, Recording
from telemetry.failure import Category
from telemetry.spike import BEFORE, FACTOR, KEEP, LAG, SPIKES, WAIT, WINDOW, Spike

ERRORS = f"job_category_fault:parley_errors:increase{WINDOW}"
BASELINE = f"job_category_fault:parley_errors:baseline{BEFORE}"
"""The hour before, ten minutes back: a spike is no part of what it is measured by."""
CODES = (
    'SELECT "code", "actorId", sum("count") AS turns FROM "AuditEvent"'
    " WHERE \"category\" = 'CATEGORY' GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20;"
)


def alert(spike: Spike) -> Alert:
    """The rule."""
    which = f'{{category="{spike.category}", fault=~"{"|".join(spike.faults)}"}}'
    now, before = (f"sum by (job, category) ({series}{which})" for series in (ERRORS, BASELINE))
    expr = f"{now} >= {spike.floor}\nand {now} > {FACTOR} * ({before} or 0 * {now})"
    if spike.share:
        expr += f"\nand {now} > on (job) group_left () {spike.share} * job:parley_served:increase{WINDOW}"
    return Alert(
        name=spike.name,
        severity=spike.severity,
        expr=expr,
        summary=spike.summary('{{ $value | printf "%.0f" }}'),
        advice=ADVICE[spike.name],
        wait=WAIT,
        keep=KEEP,
    )


def _by(category: Category) -> str:
    return f'sum by (fault) (increase(parley_errors_total{{category="{category}"}}[{WINDOW}]))'


def _tags(category: Category) -> str:
    return f"parley.error.category={category}"


def _listed(category: Category) -> str:
    return f"parley audit list --category {category} --limit 20"


def _codes(category: Category) -> str:
    return CODES.replace("CATEGORY", category)


def advice(category: Category, means: str, do: str) -> Advice:
    """What all spikes share: where to look."""
    return Advice(
        means=means,
        look=_by(category),
        trace=_tags(category),
        run=f"{_listed(category)}\n{_codes(category)}",
        do=do,
    )


ADVICE: Mapping[str, Advice] = MappingProxyType(
    {
        "CredentialGuessing": advice(
            Category.AUTHENTICATION,
            "Many requests came without a valid key or token: somebody guesses, or a client runs with an old"
            " one.",
            "One address: bar it before the service, or lower AGENT_RATE_LIMIT_ADDRESS. A key that expired"
            " or was revoked: `parley keys list`, give a new one. All callers at once: the issuer's keys"
            " changed (lines `signing_keys_unfetched`) or AGENT_SECRET_KEY did.",
        ),
        "AuthorizationSpike": advice(
            Category.AUTHORIZATION,
            "Known callers ask for what their role may not do, or another site uses their cookie.",
            "`forbidden` of one actor: ask whether the role is right. `cross_site`: a page elsewhere sends"
            " its readers' cookies here; nothing was let in.",
        ),
        "ValidationSpike": advice(
            Category.VALIDATION,
            "Requests are refused for their form. Often a client was rolled out that does not keep to the"
            " contract.",
            "Read `errors` of one refused body: it names every field. Tell the client's owner; if the"
            " service was what changed, roll it back.",
        ),
        "RateLimitSpike": advice(
            Category.RATE_LIMIT,
            "Our own limits and budgets refuse more than usual. The house is fine; somebody may not be.",
            "One caller: a loop that does not heed Retry-After; talk to its owner. Many of one role: see"
            " RoleLimitTooStrict and `parley limits suggest`. `over_budget`: see BudgetSpent.",
        ),
        "UpstreamRateLimitSpike": advice(
            Category.RATE_LIMIT,
            "The model's API refuses us (`upstream_rate_limited`), or we cannot decide"
            " (`budget_unavailable`, `overloaded`): callers are turned away for what they did not do.",
            "`upstream_rate_limited`: lower AGENT_TOKENS_PER_MINUTE or the roles' numbers below the"
            " provider's limit, or have it raised. `budget_unavailable`: the database is away. `overloaded`:"
            " add replicas.",
        ),
        "DatabaseSpike": advice(
            Category.DATABASE,
            "The database fails, or the audit's journal cannot be written (`audit_unwritable`), so no turn"
            " may begin.",
            "`/health/ready` names which. `audit_unwritable`: the journal's disk is full or read-only; make"
            " room. `database_error`: reach it with `parley check`; rows wait in the journal meanwhile and"
            " none is lost.",
        ),
        "AgentServiceSpike": advice(
            Category.AGENT_SERVICE,
            "The model's API answers with errors, is overloaded, or turns run into their deadline.",
            "Look at the provider's status page. `upstream_error` with 401 or 403 inside: ANTHROPIC_API_KEY."
            " One model only: set AGENT_MODEL to another. `turn_timeout`: a tool hangs (spans"
            " `execute_tool`) or AGENT_TURN_TIMEOUT_MS is short.",
        ),
        "NetworkSpike": advice(
            Category.NETWORK,
            "The model's API cannot be reached or does not answer in time; or the service is being stopped.",
            "`upstream_unreachable`: name resolution, proxy, firewall; `parley check` tries the way from"
            " here. `shutting_down`: a rollout ends turns; give AGENT_SHUTDOWN_GRACE_MS more.",
        ),
        "UnknownSpike": advice(
            Category.UNKNOWN,
            "Something raised that nobody foresaw: a fault in the program.",
            "The lines `agent_query_error` hold `error` and `stack`. If it began with a rollout, roll back;"
            " then give the exception a category in service/errors.py.",
        ),
    }
)

GROUP = Group(
    "parley-spikes",
    (
        Recording(ERRORS, f"sum by (job, category, fault) (increase(parley_errors_total[{WINDOW}]))"),
        Recording(BASELINE, f"avg_over_time({ERRORS}[{BEFORE}] offset {LAG})"),
        *map(alert, SPIKES),
    ),
)
