"""What a log of decisions proves about its windows: pure, over what several processes wrote.

Refuses to accuse by a moment that is not known: a decision lies somewhere between its question and its
answer, and only what holds for every such moment is told.
"""

import struct
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

LAYOUT = struct.Struct("<qqqIBBB")


class Decision(NamedTuple):
    """One decision.

    `asked` and `told` are nanoseconds of the host's monotonic clock, `at` the shared store's own
    microseconds; `life` is which life of its memory it was in; `alone` says that one process decided.
    """

    asked: int
    told: int
    at: int
    life: int
    subject: int
    admitted: bool
    alone: bool

    @property
    def took(self) -> float:
        """Milliseconds."""
        return (self.told - self.asked) / 1e6


def read(paths: Iterable[Path]) -> list[Decision]:
    """Every decision of several logs; the last one of a process that was killed may be cut off."""
    decisions: list[Decision] = []
    for path in paths:
        content = path.read_bytes()
        whole = content[: len(content) // LAYOUT.size * LAYOUT.size]
        decisions += [Decision(*row[:5], bool(row[5]), bool(row[6])) for row in LAYOUT.iter_unpack(whole)]
    return decisions


def worst_of_a_life(decisions: Iterable[Decision], window_ms: int) -> int:
    """The most that one memory of the shared store admitted in any half-open window, by its own clock."""
    kept = defaultdict(list)
    for each in decisions:
        if each.admitted and not each.alone:
            kept[each.subject, each.life].append(each.at)
    return max((_most(sorted(times), window_ms * 1_000) for times in kept.values()), default=0)


def worst(decisions: Iterable[Decision], window_ms: int) -> int:
    """The most that was certainly admitted within less than a window, whoever decided."""
    kept = defaultdict(list)
    for each in decisions:
        if each.admitted:
            kept[each.subject].append((each.asked, each.told))
    return max((_most_spans(spans, window_ms * 1_000_000) for spans in kept.values()), default=0)


def steady(decisions: Sequence[Decision], subject: int, window_ms: int, calm: tuple[int, int]) -> float:
    """The admissions of a subject in a window, on average over a span in which nothing happened."""
    begin, end = calm
    number = sum(each.subject == subject and each.admitted and begin <= each.told < end for each in decisions)
    return number * window_ms * 1_000_000 / (end - begin)


def percentile(values: Iterable[float], percent: float) -> float:
    """The value that so many percent are not above; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def _most(times: Sequence[int], span: int) -> int:
    return max((bisect_left(times, first + span) - place for place, first in enumerate(times)), default=0)


def _most_spans(spans: list[tuple[int, int]], span: int) -> int:
    return max(_certain(spans, span), default=0)


def _certain(spans: list[tuple[int, int]], window: int) -> Iterator[int]:
    """For each question that may be the first of a window, the answers that certainly fell within it.

    From the last question to the first, so that the answers kept are those of later questions.
    """
    answers: list[int] = []
    for asked, told in sorted(spans, reverse=True):
        insort(answers, told)
        yield bisect_left(answers, asked + window)
