"""Holds the ledger of budgets to the audit's rows: what was spent is what they say, and nothing is put aside.

Refuses to believe the ledger's own comparison: it adds up what anybody can read in the view.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.harness.sql import ask

BUDGETS = {
    "AGENT_BUDGET_USER_DAY_USD": "3",
    "AGENT_BUDGET_ROLE_MONTH_USD": "400",
    "AGENT_BUDGET_TOTAL_DAY_USD": "500",
}
"""A user's is a few turns at their worst at one time; nobody gets to the end of the others."""
LEDGER = "SELECT scope, subject, period, spent, reserved FROM budget_ledger"
LEFT = "SELECT id, amount, state, writer FROM budget_reservation"
ROWS = 'SELECT role, "createdAt", outcome, "costMicros", metadata, id FROM "AuditEvent"'
SUBJECTS = "SELECT id, subject_id FROM audit_event"

Key = tuple[str, str, str]


def faults(url: str) -> list[str]:
    """What is wrong with the ledger of an installation at rest."""
    accounts, spent = ledger(url), charged(url)
    found = [f"{row} is put aside and nobody has it" for row in ask(url, LEFT)]
    for key, (said, reserved) in accounts.items():
        if said != spent[key]:
            found.append(f"the ledger says {said} of {key}, the rows {spent[key]}")
        if reserved:
            found.append(f"{reserved} of {key} is put aside for nobody")
    return found


def ledger(url: str) -> dict[Key, tuple[int, int]]:
    """Spent and put aside, by account."""
    return {
        (row["scope"], row["subject"], row["period"]): (row["spent"], row["reserved"])
        for row in ask(url, LEDGER)
    }


def charged(url: str) -> Mapping[Key, int]:
    """What the rows come to, by account."""
    subjects = {row["id"]: row["subject_id"] for row in ask(url, SUBJECTS)}
    sums: dict[Key, int] = defaultdict(int)
    for row in ask(url, ROWS):
        for period in (row["createdAt"][:10], row["createdAt"][:7]):
            for scope, subject in (("user", subjects[row["id"]]), ("role", row["role"]), ("total", "")):
                sums[scope, subject, period] += _charge(row)
    return sums


def _charge(row: Mapping[str, Any]) -> int:
    """What budgets are charged: all that was put aside, where nobody saw the end."""
    budget = json.loads(row["metadata"]).get("budget")
    if row["outcome"] == "interrupted" and budget:
        assert budget["chargedMicros"] == budget["reservedMicros"], row
        return budget["chargedMicros"]
    return row["costMicros"]


@contextmanager
def watched(url: str, limit: int, scope: str = "total") -> Iterator[list[int]]:
    """Look all the time at what the fullest account of a scope has spent and put aside; gives what was seen.

    Raises:
        AssertionError: at the end, where it was ever more than the limit.
    """
    seen, over = list[int](), threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            seen.append(max((sum(sums) for key, sums in ledger(url).items() if key[0] == scope), default=0))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
    assert max(seen) <= limit, f"{max(seen)} of {limit}"
