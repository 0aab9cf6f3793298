"""parley usage: what turns came to, by user, role, model, tool or day, straight from the database.

Refuses to show what was asked or answered: sums are all it reads.
"""

import argparse

from service.cli import asking
from service.cli.asking import Desk, asked
from service.cli.options import add_tenant
from service.cli.terminal import plain
from service.store.filters import Filters
from service.web.parameters import UsageQuery
from service.web.reports import UsageReport, UsageRow, UsageTotal, report


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _usage, UsageQuery)
    add_tenant(parser)


async def _usage(desk: Desk) -> int:
    query = asked(UsageQuery, desk.given)
    meant = Filters(**query.span())
    told = report(await desk.database.questions_of(asking.whose(desk)).usage(query.group_by, meant))
    asking.show(desk, told, lambda: _table(told))
    return 0


def _table(told: UsageReport) -> str:
    lines = [_line(plain(row.key), row) for row in told.rows]
    return "\n".join([*lines, _line("total", told.total)])


def _line(name: str, sums: UsageTotal | UsageRow) -> str:
    tokens = f"{sums.input_tokens:>12} in {sums.output_tokens:>12} out"
    return f"{name:24} {sums.turns:>9} turns {tokens} ${sums.cost:.6f}"
