from datetime import UTC, datetime

import pytest

from service.errors import ToolFailed
from service.tools.period import bounds

NOW = datetime(2026, 3, 4, 15, 6, 7, 8, tzinfo=UTC)
"""A Wednesday."""


@pytest.mark.parametrize(
    ("words", "since", "until"),
    [
        ("today", "2026-03-04T00:00:00Z", "2026-03-05T00:00:00Z"),
        ("Yesterday", "2026-03-03T00:00:00Z", "2026-03-04T00:00:00Z"),
        ("this week", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"),
        ("last week", "2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z"),
        ("this month", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"),
        ("last month", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("this year", "2026-01-01T00:00:00Z", None),
        (" last  7 DAYS ", "2026-02-25T15:06:00Z", None),
        ("the past 2 weeks", "2026-02-18T15:06:00Z", None),
        ("last hour", "2026-03-04T14:06:00Z", None),
        ("last 90 minutes", "2026-03-04T13:36:00Z", None),
        ("last day", "2026-03-03T15:06:00Z", None),
    ],
)
def test_words(words, since, until):
    told = {"from": since} | ({"to": until} if until else {})
    assert bounds(words, None, None, NOW) == told


def test_months_of_a_year_lead_to_each_other():
    for month in range(1, 13):
        now = datetime(2026, month, 31 if month in {1, 3, 5, 7, 8, 10, 12} else 28, 23, tzinfo=UTC)
        after = f"{2026 + month // 12}-{month % 12 + 1:02}-01T00:00:00Z"
        assert bounds("this month", None, None, now) == {"from": f"2026-{month:02}-01T00:00:00Z", "to": after}
        assert bounds("last month", None, None, now)["to"] == f"2026-{month:02}-01T00:00:00Z"


@pytest.mark.parametrize(
    "words", ["", "soon", "last 0 days", "last -1 days", "last 7 years", "7 days", "now"]
)
def test_other_words_are_told_which_there_are(words):
    with pytest.raises(ToolFailed, match="last 7 days"):
        bounds(words, None, None, NOW)


def test_times_are_passed_on_as_they_are_and_not_beside_words():
    assert bounds(None, "2026-01-01", None, NOW) == {"from": "2026-01-01"}
    assert bounds(None, None, None, NOW) == {}
    with pytest.raises(ToolFailed, match="either when, or from and to"):
        bounds("today", None, "2026-01-01", NOW)
