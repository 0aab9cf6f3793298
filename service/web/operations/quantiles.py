"""A histogram of the metrics' own buckets, which can be added up, and its quantiles as Prometheus has them.

Refuses to know more than it does: a quantile lies evenly within its bucket, and at most at the last bound.
"""

from collections.abc import Sequence
from itertools import accumulate

from msgspec import Struct, field


class Histogram(Struct):
    """How many were in each bucket: as many as there are bounds, and one for what is above all of them."""

    bounds: Sequence[float]
    numbers: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
        self.numbers = self.numbers or [0] * (len(self.bounds) + 1)

    @property
    def count(self) -> int:
        """How many in all."""
        return sum(self.numbers)

    def add(self, bucket: int, number: int) -> None:
        """So many more in a bucket."""
        self.numbers[bucket] += number

    def merge(self, other: "Histogram") -> None:
        """Add another of the same bounds."""
        self.numbers = [mine + its for mine, its in zip(self.numbers, other.numbers, strict=True)]

    def quantile(self, part: float) -> float | None:
        """In seconds, as PromQL's `histogram_quantile` finds it; None where there is nothing."""
        total = self.count
        if not total:
            return None
        rank, sums = part * total, list(accumulate(self.numbers))
        at = next(index for index, so_far in enumerate(sums) if so_far >= rank and self.numbers[index])
        if at == len(self.bounds):
            return self.bounds[-1]
        lower = self.bounds[at - 1] if at else 0.0
        before = sums[at - 1] if at else 0
        return lower + (self.bounds[at] - lower) * (rank - before) / self.numbers[at]
