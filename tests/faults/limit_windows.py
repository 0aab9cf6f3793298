"""What windows held, by a log of what was admitted; knows no algorithm, only windows.

Refuses to be told what the limit was meant to do: it counts.
"""

from array import array
from collections import defaultdict
from collections.abc import Mapping

from msgspec import Struct

from service.limits.demand import Kind, Rule

MS = 1_000_000


class Entry(Struct):
    """What was admitted under one key: when, how much of it, and when it was given back."""

    rule: Rule
    at: "array[int]"
    amount: "array[int]"
    end: "array[int]"


class Report(Struct):
    """What a checker found: the fullest window by rule, in parts of its limit, and each that was too full."""

    decisions: int = 0
    admitted: int = 0
    fullest: dict[str, float] = {}
    faults: list[str] = []


def check(log: Mapping[tuple[str, str], Entry], report: Report) -> None:
    """Judge every key's log by its windows, or by who held at one time."""
    for (name, subject), entry in log.items():
        most = most_held(entry) if entry.rule.kind is Kind.LEASE else most_in_a_window(entry)
        share = most / entry.rule.limit
        report.fullest[name] = max(report.fullest.get(name, 0), share)
        if share > 1:
            report.faults.append(f"{name} of {subject}: {most} of {entry.rule.limit}")


def most_in_a_window(entry: Entry) -> int:
    """The most in any half-open window: the one that ends with an admission, whichever."""
    length, most, total, first = entry.rule.window_ms * MS, 0, 0, 0
    for at, amount in zip(entry.at, entry.amount, strict=True):
        total += amount
        while entry.at[first] <= at - length:
            total -= entry.amount[first]
            first += 1
        most = max(most, total)
    return most


def most_held(entry: Entry) -> int:
    """The most at one time; what ends at a moment is free at that moment."""
    changes: dict[int, int] = defaultdict(int)
    for at, end in zip(entry.at, entry.end, strict=True):
        changes[at] += 1
        changes[end] -= 1
    most = held = 0
    for moment in sorted(changes):
        held += changes[moment]
        most = max(most, held)
    return most
