"""Panels on what people say: to tool calls that need their yes, and of the turns they asked for.

Refuses to name them: no label does.
"""

from telemetry.dashboards.panel import Panel, Section
from telemetry.dashboards.questions import hourly

PEOPLE = Section(
    "Approvals and feedback",
    (
        Panel(
            title="Calls that needed a yes, an hour",
            queries=(hourly("decision", "parley_approvals_total"),),
            said="`expired`: nobody decided in time. `unasked`: the database was away.",
            stacked=True,
        ),
        Panel(
            title="Ratings an hour",
            queries=(hourly("rating", "parley_feedback_total"),),
            said="How often turns were rated up and down; by model with `GET /api/v1/feedback`.",
            stacked=True,
        ),
    ),
)
