"""parley limits: what can be done about limits, each verb in a file of its own.

Refuses to load any of them for a verb that was not named.
"""

from collections.abc import Mapping

from service.cli.parser import Filled, Parser

VERBS: Mapping[str, Filled] = {
    "show": ("show the limits of every role, or of one user", "service.cli.standings:add"),
    "reset": ("let a user's limits begin anew", "service.cli.reset:add"),
    "suggest": (
        "propose limits by what was asked in the last 14 days, or in another span",
        "service.cli.suggest:add",
    ),
    "rebuild": (
        "make the budgets of this and the last day and month fit the audit's events",
        "service.cli.rebuild:add",
    ),
}


def add(parser: Parser) -> None:
    """Add the verbs."""
    parser.branch("VERB", VERBS)
