"""Panels on turns: how they end, what goes wrong, how long they take, what they cost.

Refuses a metric that is not emitted: a test reads every query.
"""

from telemetry.dashboards.panel import Panel, Query, Section, Traces
from telemetry.dashboards.questions import RATE, gauge, hourly, quantile, rate

TRAFFIC = Section(
    "Traffic and outcomes",
    (
        Panel(
            title="Turns by outcome",
            queries=(rate("outcome", "parley_turns_total"),),
            said="Every request on the chat route is a turn, refused ones too.",
            unit="reqps",
            stacked=True,
        ),
        Panel(
            title="Turns that run",
            queries=(gauge("sum(parley_turns_active)", "running"),),
            said="Admitted and not ended.",
        ),
        Panel(
            title="Failed share",
            queries=tuple(
                Query(
                    f"job:parley_failed:increase{window} / job:parley_served:increase{window}",
                    f"over {window}",
                )
                for window in ("1h", "6h", "1d")
            ),
            said="By the provider's fault or ours, of what was served; AnsweredShare holds 1 % and 0.1 %.",
            unit="percentunit",
            alarm=0.01,
        ),
        Panel(
            title="Cut share",
            queries=(Query("job:parley_cut:ratio15m", "{{job}}"),),
            said="Turns that ran and did not reach their end: clients left, failures, deadlines, restarts.",
            unit="percentunit",
            alarm=0.1,
        ),
        Panel(
            title="Workers that ended",
            queries=(gauge("sum by (job) (last_over_time(parley_workers_ended_total[15m]))", "{{job}}"),),
            said="Without being told to, as the processes that took their places count.",
            alarm=1,
        ),
    ),
)

ERRORS = Section(
    "Errors by category and fault",
    (
        Panel(
            title="Errors by category",
            queries=(rate("category", "parley_errors_total"),),
            said="Turns that ended with an error.",
            unit="ops",
            stacked=True,
        ),
        Panel(
            title="Errors by fault",
            queries=(rate("fault", "parley_errors_total"),),
            said="Who would have to change something: caller, policy, provider, service.",
            unit="ops",
            stacked=True,
        ),
        Panel(
            title="Against the hour before",
            queries=(
                Query(
                    "sum by (category) (job_category_fault:parley_errors:increase5m)"
                    " / sum by (category) (job_category_fault:parley_errors:baseline1h > 0)",
                    "{{category}}",
                ),
            ),
            said="How many times the usual; spikes begin at three.",
            alarm=3,
        ),
        *(
            Traces(
                title=title, tags=tags, said="Newest traces of that kind, where Jaeger kept them.", width=12
            )
            for title, tags in (
                ("Traces that failed", "parley.turn.outcome=failed"),
                ("Traces that were refused", "parley.turn.outcome=refused"),
            )
        ),
    ),
)

LATENCY = Section(
    "Latency and first text",
    (
        Panel(
            title="A whole turn",
            queries=tuple(
                quantile(part, "gen_ai_invoke_agent_duration_seconds") for part in (0.5, 0.95, 0.99)
            ),
            said="Turns that reached the model. A dot is a turn: it leads to its trace.",
            unit="s",
        ),
        Panel(
            title="First text",
            queries=tuple(
                quantile(part, "gen_ai_client_operation_time_to_first_chunk_seconds", "gen_ai_request_model")
                for part in (0.5, 0.95)
            ),
            said="Until the model's first content.",
            unit="s",
            alarm=10,
        ),
        Panel(
            title="One model call",
            queries=(quantile(0.95, "gen_ai_client_operation_duration_seconds", "gen_ai_request_model"),),
            said="Over all its attempts.",
            unit="s",
        ),
        Panel(
            title="Retries",
            queries=(rate("model", "parley_model_retries_total"),),
            said="Requests to the API after the first of a call: at most a tenth of what is answered.",
            unit="ops",
        ),
        Panel(
            title="Left alone",
            queries=(gauge("max by (instance, model) (parley_model_shut)", "{{model}}"),),
            said="1 while a model fails too often and is not asked.",
            alarm=1,
        ),
        Panel(
            title="Tools",
            queries=(quantile(0.95, "gen_ai_execute_tool_duration_seconds", "gen_ai_tool_name"),),
            said="One call of a tool.",
            unit="s",
        ),
        Panel(
            title="Tool calls",
            queries=(rate("tool, outcome", "parley_tool_calls_total"),),
            said="By what became of them; denied: by role, limit or person.",
            unit="ops",
        ),
        Panel(
            title="MCP servers",
            queries=(gauge("min by (instance, server) (parley_mcp_up)", "{{server}}"),),
            said="0 while one is away: its tools fail, all else works.",
        ),
        Panel(
            title="Tokens of a call",
            queries=(quantile(0.95, "gen_ai_client_token_usage", "gen_ai_token_type"),),
            said="Prompts that grow make first texts late.",
        ),
    ),
)

COST = Section(
    "Tokens and cost",
    (
        Panel(
            title="Tokens by model",
            queries=(
                Query(
                    f"sum by (model, direction) (rate(parley_tokens_total[{RATE}]))",
                    "{{model}} {{direction}}",
                ),
            ),
            said="Input includes cached tokens.",
            stacked=True,
        ),
        Panel(
            title="Dollars an hour by model",
            queries=(hourly("model", "parley_cost_total"),),
            said="By the table of prices.",
            unit="currencyUSD",
            stacked=True,
        ),
        Panel(
            title="Dollars an hour by role",
            queries=(hourly("role", "parley_cost_total"),),
            said="Who it was spent for; persons are told by `parley usage`.",
            unit="currencyUSD",
            stacked=True,
        ),
        Panel(
            title="Dollars an hour that the prompt cache saves",
            queries=(
                Query(
                    "sum by (model) (increase(parley_cost_uncached_total[1h]))"
                    " - sum by (model) (increase(parley_cost_total[1h]))",
                    "{{model}}",
                ),
            ),
            said="Below zero while it is written and hardly read: then AGENT_PROMPT_CACHE=off costs less.",
            unit="currencyUSD",
        ),
        Panel(
            title="Against the same hour last week",
            queries=(
                Query("job:parley_cost:increase1h", "now"),
                Query("job:parley_cost:increase1h offset 1w", "a week ago"),
            ),
            said="CostPerHour fires at twice as much.",
            unit="currencyUSD",
        ),
    ),
)
