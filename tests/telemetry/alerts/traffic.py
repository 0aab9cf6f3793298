"""Trials of what callers feel, and of what it costs."""

from tests.telemetry.alerts.spikes import turns
from tests.telemetry.alerts.trial import Case, ticket

FIRST = "gen_ai_client_operation_time_to_first_chunk_seconds"


def first(ending: str) -> str:
    part, _, labels = ending.partition("{")
    return f'{FIRST}_{part}{{job="parley", gen_ai_request_model="m"{labels}}}'


def cost(job: str) -> str:
    return f'parley_cost_total{{job="{job}", model="m", role="CFO"}}'


def shut(instance: str, model: str) -> str:
    return f'parley_model_shut{{job="parley", instance="{instance}", model="{model}"}}'


def away(server: str) -> str:
    return f'parley_mcp_up{{job="parley", instance="a", server="{server}"}}'


CASES = [
    Case(
        name="a model that is left alone for minutes is told of, one that was for a moment is not",
        groups=("parley-models",),
        series={
            shut("a", "m"): "0 0 1 1 1 1 1 1 1 0 0 0 0 0 0 0",
            shut("a", "n"): "0 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0",
            shut("b", "m"): "0x15",
        },
        expected={
            ("2m", "ModelLeftAlone"): (),
            ("4m", "ModelLeftAlone"): (
                ticket(
                    "m keeps failing; a has left it alone for over 2m.", job="parley", instance="a", model="m"
                ),
            ),
            ("7m", "ModelLeftAlone"): (),
        },
    ),
    Case(
        name="an MCP server that is away for minutes is told of, one that comes back is not",
        groups=("parley-models",),
        series={
            away("files"): "1 1 0x13 1x12",
            away("search"): "0x5 1 0x5 1x16",
        },
        expected={
            ("5m", "McpServerAway"): (),
            ("7m", "McpServerAway"): (
                ticket(
                    "The MCP server files has been away from a for over 5m.",
                    job="parley",
                    instance="a",
                    server="files",
                ),
            ),
            ("12m", "McpServerAway"): (),
        },
    ),
    Case(
        name="a quarter of the turns is cut, refusals apart",
        groups=("parley-streams",),
        series={
            turns("answered"): "0+6x100",
            turns("client_gone"): "0x40 0+1x60",
            turns("shutdown"): "0x40 0+1x60",
            turns("refused"): "0+90x100",
        },
        expected={
            ("19m", "TurnsCut"): (),
            ("40m", "TurnsCut"): (
                ticket("25% of the turns that ran in 15m did not reach their end.", job="parley"),
            ),
        },
    ),
    Case(
        name="one of two turns a quarter of an hour is cut",
        groups=("parley-streams",),
        series={turns("answered"): "0x40 1x60", turns("client_gone"): "0x40 1x60"},
        expected={("30m", "TurnsCut"): ()},
    ),
    Case(
        name="first words in 20 s, for enough turns",
        groups=("parley-streams",),
        series={
            first('bucket{, le="10.24"'): "0+0x100",
            first('bucket{, le="20.48"'): "0+2x100",
            first('bucket{, le="+Inf"'): "0+2x100",
            first("count"): "0+2x100",
        },
        expected={
            ("40m", "FirstChunkSlow"): (
                ticket(
                    "One in twenty answers of m took over 19.97s to begin in 15m.",
                    job="parley",
                    gen_ai_request_model="m",
                ),
            ),
        },
    ),
    Case(
        name="first words in half a second, and one that was late",
        groups=("parley-streams",),
        series={
            first('bucket{, le="0.64"'): "0+2x100",
            first('bucket{, le="20.48"'): "0+2x50 101+2x50",
            first('bucket{, le="+Inf"'): "0+2x50 101+2x50",
            first("count"): "0+2x50 101+2x50",
        },
        expected={("30m", "FirstChunkSlow"): ()},
    ),
    Case(
        name="three times the dollars of the same hour last week, not ten times of next to nothing",
        groups=("parley-cost",),
        interval="10m",
        every="2m",
        series={cost("parley"): "0+1x1020 1020+3x30", cost("small"): "0+0.01x1020 10.2+0.1x30"},
        expected={
            ("168h", "CostPerHour"): (),
            ("169h", "CostPerHour"): (),
            ("172h", "CostPerHour"): (
                ticket("18.00 dollars were spent in 1h, over twice the same hour a week ago.", job="parley"),
            ),
        },
    ),
]
