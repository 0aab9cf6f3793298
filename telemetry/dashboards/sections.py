"""All sections, in the order of the page.

Refuses nothing: tests hold that queries, metrics and places fit.
"""

from telemetry.dashboards.people import PEOPLE
from telemetry.dashboards.turns import COST, ERRORS, LATENCY, TRAFFIC
from telemetry.dashboards.upkeep import AUDIT, BUDGETS, GROWTH, LIMITS

SECTIONS = (TRAFFIC, ERRORS, LATENCY, COST, PEOPLE, LIMITS, BUDGETS, AUDIT, GROWTH)
