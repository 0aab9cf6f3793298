"""Turns as callers feel them: streams that are cut, first words that are late, hours that are dear.

Refuses to compare what was hardly used: each has a number of turns or dollars below which it is silent.
"""

from telemetry.alerts.rule import Advice, Alert, Group, Recording, Severity

CUT = 'parley_turns_total{outcome=~"client_gone|failed|timed_out|interrupted|shutdown"}'
RUN = 'parley_turns_total{outcome!="refused"}'
FIRST = "gen_ai_client_operation_time_to_first_chunk_seconds"

STREAMS = Group(
    "parley-streams",
    (
        Recording(
            "job:parley_cut:ratio15m",
            f"sum by (job) (increase({CUT}[15m])) / sum by (job) (increase({RUN}[15m]))",
        ),
        Recording(
            "job_model:parley_first_chunk_seconds:p95_15m",
            f"histogram_quantile(0.95, sum by (job, gen_ai_request_model, le) (rate({FIRST}_bucket[15m])))",
        ),
        Alert(
            name="TurnsCut",
            severity=Severity.TICKET,
            expr=f"job:parley_cut:ratio15m > 0.1\nand sum by (job) (increase({RUN}[15m])) >= 20",
            wait="5m",
            summary="{{ $value | humanizePercentage }} of the turns that ran in 15m did not reach their end.",
            advice=Advice(
                means="Answers are cut off: by clients that leave, by failures, deadlines, restarts.",
                look="sum by (outcome) (increase(parley_turns_total{outcome!='refused'}[15m]))",
                trace="parley.turn.outcome=client_gone",
                run="parley audit list --outcome client_gone --limit 20",
                do="`client_gone` leads: a proxy with a short idle time-out (15 s of silence have a"
                " comment), or slow answers: see FirstChunkSlow. `shutdown`: rollouts without grace. Else"
                " the category's spike.",
            ),
        ),
        Alert(
            name="FirstChunkSlow",
            severity=Severity.TICKET,
            expr="job_model:parley_first_chunk_seconds:p95_15m > 10\n"
            f"and sum by (job, gen_ai_request_model) (increase({FIRST}_count[15m])) >= 20",
            wait="5m",
            summary="One in twenty answers of {{ $labels.gen_ai_request_model }} took over"
            " {{ $value | humanizeDuration }} to begin in 15m.",
            advice=Advice(
                means="The model is slow to begin: the provider is loaded, or prompts have grown.",
                look="histogram_quantile(0.95, sum by (le) (rate(gen_ai_client_token_usage_bucket"
                '{gen_ai_token_type="input"}[15m])))',
                trace="gen_ai.operation.name=chat",
                run="parley usage --group-by model",
                do="In Jaeger take a long span `chat {model}` and see `parley.model.attempts`: more than 1"
                " means retries (see AgentServiceSpike). Else a smaller model, or shorter histories.",
            ),
        ),
    ),
)

MODELS = Group(
    "parley-models",
    (
        Alert(
            name="ModelLeftAlone",
            severity=Severity.TICKET,
            expr="max by (job, instance, model) (parley_model_shut) == 1",
            wait="2m",
            keep="2m",
            summary="{{ $labels.model }} keeps failing; {{ $labels.instance }} has left it alone for over"
            " 2m.",
            advice=Advice(
                means="The breaker of this model is open: turns that want it are refused at once, or answered"
                " by one of AGENT_MODEL_FALLBACKS. It is tried every 5 to 60 s.",
                look="max by (instance, model) (parley_model_shut)",
                trace="parley.error.category=agent_service",
                run="curl -s localhost:3005/health/ready | jq .dependencies.model\nparley check",
                do="The lines `model_breaker_opened` say with which code and status it failed. One model:"
                " name others in AGENT_MODEL_FALLBACKS, or set AGENT_MODEL. All: see AgentServiceSpike and"
                " NetworkSpike. It closes by itself with the first answer.",
            ),
        ),
        Alert(
            name="McpServerAway",
            severity=Severity.TICKET,
            expr="max by (job, instance, server) (parley_mcp_up) == 0",
            wait="5m",
            summary="The MCP server {{ $labels.server }} has been away from {{ $labels.instance }} for over"
            " 5m.",
            advice=Advice(
                means="Its tools fail, or are not offered where it never was there; all else works. It is"
                " connected to again every 60 s, and at once when a model calls one of its tools.",
                look="min by (instance, server) (parley_mcp_up)",
                trace="gen_ai.operation.name=execute_tool",
                run="curl -s localhost:3005/health/ready | jq .dependencies.mcp\nparley check",
                do="The line `mcp_lost` says why. No program: install it where the service runs, or give its"
                " whole path in AGENT_MCP_SERVERS. It ended, or was not ready: LOG_LEVEL=debug shows what it"
                ' writes to stderr. Refused: its key has expired. Not wanted: `"disabled": true`.',
            ),
        ),
    ),
)

COST = Group(
    "parley-cost",
    (
        Recording("job:parley_cost:increase1h", "sum by (job) (increase(parley_cost_total[1h]))"),
        Alert(
            name="CostPerHour",
            severity=Severity.TICKET,
            expr="job:parley_cost:increase1h > 2 * (job:parley_cost:increase1h offset 1w)\n"
            "and job:parley_cost:increase1h >= 5",
            wait="10m",
            summary='{{ $value | printf "%.2f" }} dollars were spent in 1h, over twice the same hour a week'
            " ago.",
            advice=Advice(
                means="More is asked, dearer models are, or somebody found a way to make turns long.",
                look="sum by (model, role) (increase(parley_cost_total[1h]))",
                trace="parley.cost.priced_as=MODEL",
                run="parley usage --group-by user --from DATE\nparley usage --group-by model --from DATE",
                do="Compare with the week before by user and model. A runaway: AGENT_BUDGET_USER_DAY_USD, or"
                " revoke the key. Wanted growth: nothing; next week it is the measure.",
            ),
        ),
    ),
    interval="1m",
)
