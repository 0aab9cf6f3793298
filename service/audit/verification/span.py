"""Sets of whole numbers as spans: `(first, last)`, both inside.

Refuses to hold each number: a log's numbers come nearly in order, so a few spans are all of them.
"""

from collections.abc import Iterable, Iterator, Sequence

Span = tuple[int, int]


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same numbers in as few spans as can be, in order."""
    whole: list[Span] = []
    for first, last in sorted(spans):
        if whole and first <= whole[-1][1] + 1:
            whole[-1] = whole[-1][0], max(whole[-1][1], last)
        else:
            whole.append((first, last))
    return whole


def spans_of(numbers: Iterable[int]) -> list[Span]:
    """The spans of single numbers."""
    ordered = sorted(numbers)
    if ordered and len(ordered) == ordered[-1] - ordered[0] + 1 == len(set(ordered)):
        return [(ordered[0], ordered[-1])]
    return joined((each, each) for each in ordered)


def without(spans: Iterable[Span], others: Sequence[Span]) -> Iterator[Span]:
    """The parts of spans that others, joined, do not hold."""
    for span in spans:
        yield from _rest(span, others)


def _rest(span: Span, others: Sequence[Span]) -> Iterator[Span]:
    at, last = span
    for start, end in others:
        if start > last:
            break
        if start > at:
            yield at, start - 1
        at = max(at, end + 1)
    if at <= last:
        yield at, last


def count_of(spans: Iterable[Span]) -> int:
    """How many numbers they hold, where none is held twice."""
    return sum(last - first + 1 for first, last in spans)
