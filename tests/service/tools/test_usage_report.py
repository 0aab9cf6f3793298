import json
from datetime import UTC, datetime

import pytest

from config.settings import Settings
from service.auth.permissions import GRANTS, Action
from service.errors import ToolFailed
from service.tools import usage_report
from service.tools.registry import Registry
from service.tools.usage_report import Reported
from tests.harness.tools import ERRAND, run

NOW = datetime(2026, 3, 4, 15, tzinfo=UTC)
TOTAL = {"turns": 3, "inputTokens": 30, "outputTokens": 6, "cost": 0.75}


def row(key):
    return {"key": key, "turns": 1, "inputTokens": 10, "outputTokens": 2, "cost": 0.25}


class Records:
    """Answers with what it is given; `asked` is what it was asked."""

    def __init__(self, *keys, everybody=True):
        self.reported = Reported([row(key) for key in keys], TOTAL, everybody)
        self.asked = []

    async def __call__(self, asked, errand):
        self.asked.append((asked, errand))
        return self.reported


async def report(records, **arguments):
    return json.loads(
        await run(Registry([usage_report.build(records, lambda: NOW)]), "usage_report", arguments)
    )


def test_it_is_for_those_who_may_see_everybodys_numbers():
    assert {role for role, actions in GRANTS.items() if Action.USAGE_ALL in actions} == usage_report.ROLES


async def test_arguments_are_the_routes_parameters():
    records = Records("ann", None)
    told = await report(records, groupBy="tool", when="today")
    asked = {"from": "2026-03-04T00:00:00Z", "to": "2026-03-05T00:00:00Z", "groupBy": "tool"}
    assert records.asked == [(asked, ERRAND)]
    assert told == {
        "asked": asked, "whose": "everybody's", "total": TOTAL, "rows": [row("ann"), row(None)], "leftOff": 0,
    }  # fmt: skip


async def test_many_rows_are_cut_and_counted():
    told = await report(Records(*('"\x00' * 500 for _ in range(500)), everybody=False))
    assert (len(told["rows"]), told["leftOff"], told["whose"]) == (40, 460, "the caller's own")
    assert told["total"] == TOTAL


@pytest.mark.parametrize("arguments", [{"groupBy": "hour"}, {"when": "soon"}, {"actor": "ann"}], ids=str)
async def test_what_is_no_question_is_not_asked(arguments):
    records = Records()
    with pytest.raises(ToolFailed):
        await report(records, **arguments)
    assert records.asked == []


async def test_as_it_is_installed_nobody_answers():
    tool = usage_report.plug(Settings())
    with pytest.raises(ToolFailed, match="no records here"):
        await tool.run(tool.arguments(), ERRAND)
