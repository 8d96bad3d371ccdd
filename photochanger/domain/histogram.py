"""Times counted in buckets, and the percentiles that can still be told from the counts.

A histogram is as short as its array: two of them are added element by element, so hours make days and slots the
house. Times are in milliseconds.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

PER_OCTAVE: Final = 8
RATIO: Final = 2 ** (1 / PER_OCTAVE)
"""From one bound to the next. A percentile is at most this factor off (9.1 %), up or down, from `LOWEST` on."""
LOWEST: Final = 1.0
OCTAVES: Final = 18

BOUNDS: Final = tuple(LOWEST * 2 ** (step / PER_OCTAVE) for step in range(OCTAVES * PER_OCTAVE + 1))
"""1 ms to 262 s. Bucket 0 is below the first bound, bucket n from bound n - 1 on and below bound n, the last one above
all bounds: the numbers that PostgreSQL's `width_bucket(value, bounds)` gives."""
BUCKETS: Final = len(BOUNDS) + 1


def summed(histograms: Sequence[Sequence[int]]) -> Sequence[int]:
    """All of them as one."""
    if len(histograms) == 1:
        return histograms[0]
    return [sum(counts) for counts in zip(*histograms, strict=True)]


def percentiles(histogram: Sequence[int], *shares: float) -> list[int | None]:
    """Milliseconds that these shares (above 0, at most 1) of the times did not exceed; None where nothing was counted.

    Within a bucket the times are taken to lie evenly. What is above all bounds is told as the highest bound.
    """
    seen = list(accumulate(histogram))
    if not seen or not seen[-1]:
        return [None] * len(shares)
    return [_at(histogram, seen, share * seen[-1]) for share in shares]


def _at(histogram: Sequence[int], seen: Sequence[int], wanted: float) -> int:
    bucket = bisect_left(seen, wanted)  # the first with so many in it and before it
    low = BOUNDS[bucket - 1] if bucket else 0.0
    high = BOUNDS[min(bucket, len(BOUNDS) - 1)]
    before = seen[bucket] - histogram[bucket]
    return round(low + (high - low) * (wanted - before) / histogram[bucket])
