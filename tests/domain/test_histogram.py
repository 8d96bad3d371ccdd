"""Percentiles from buckets are as exact as promised."""

import math

from hypothesis import given
from hypothesis import strategies as st

from photochanger.domain.histogram import BOUNDS, BUCKETS, LOWEST, RATIO, percentiles, summed

TIMES = st.lists(st.floats(LOWEST, BOUNDS[-1] * 0.999), min_size=1, max_size=200)
SHARES = st.floats(0.01, 1.0)


def counted(times: list[float]) -> list[int]:
    counts = [0] * BUCKETS
    for time in times:
        counts[sum(bound <= time for bound in BOUNDS)] += 1
    return counts


def exact(times: list[float], share: float) -> float:
    return sorted(times)[math.ceil(share * len(times) - 1e-9) - 1]


@given(TIMES, SHARES)
def test_a_percentile_is_off_by_less_than_the_ratio_of_two_bounds(times: list[float], share: float) -> None:
    (told,) = percentiles(counted(times), share)
    assert told is not None
    true = exact(times, share)
    assert true / RATIO - 0.5 <= told <= true * RATIO + 0.5  # told in whole milliseconds


@given(TIMES, TIMES, SHARES)
def test_histograms_added_are_the_histogram_of_all(one: list[float], other: list[float], share: float) -> None:
    assert summed([counted(one), counted(other)]) == counted(one + other)


@given(TIMES)
def test_percentiles_grow_with_their_shares(times: list[float]) -> None:
    told = percentiles(counted(times), 0.1, 0.5, 0.95, 1.0)
    assert told == sorted(told, key=lambda each: each or 0)


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentiles([0] * BUCKETS, 0.5, 0.95) == [None, None]
    assert percentiles(summed([]), 0.5) == [None]


def test_what_is_out_of_bounds_is_told_as_the_nearest_bound() -> None:
    assert percentiles(counted([0.2]), 1.0) == [1]
    assert percentiles(counted([1e9]), 0.5) == [round(BOUNDS[-1])]


def test_one_bucket_is_shared_out_evenly() -> None:
    counts = [0] * BUCKETS
    counts[81] = 4  # 1024 ms to 1117 ms
    width = BOUNDS[81] - BOUNDS[80]
    assert percentiles(counts, 0.25, 0.5, 1.0) == [round(1024 + width * part) for part in (0.25, 0.5, 1.0)]
