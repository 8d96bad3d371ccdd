"""Rate limits: never more than promised in any stretch of time, and honest words about when to come back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochanger.domain.ratelimit import Bucket
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.errors import Refusal
from photochanger.ingest.ratelimit import RateLimits

SLOT = Slot("slot-001", 1, "gemini", "edit")
RATES = st.floats(0.01, 1000)
BURSTS = st.integers(1, 50)
STEPS = st.lists(st.one_of(st.just(0.0), st.floats(0, 20)), min_size=1, max_size=150)


@given(RATES, BURSTS, STEPS)
def test_no_stretch_of_time_sees_more_than_its_share(rate: float, burst: int, steps: list[float]) -> None:
    bucket, now, taken = Bucket(rate, burst), 1000.0, []
    for step in steps:
        now += step
        if bucket.take(now):
            taken.append(now)
    for first, start in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + rate * (taken[last] - start) + 1e-3


@given(RATES, BURSTS, STEPS)
def test_who_waits_as_long_as_told_gets_a_token_and_not_much_sooner(
    rate: float, burst: int, steps: list[float]
) -> None:
    bucket, now = Bucket(rate, burst), 1000.0
    for step in steps:
        now += step
        left, wait = bucket.left(now), bucket.wait(now)
        assert not (left and wait > 1e-6)
        if wait > 1e-3:
            assert not bucket.take(now + wait * 0.99 - 1e-6)
        assert bucket.take(now + wait + 1e-6)
        now += wait + 1e-6


@given(RATES, BURSTS)
def test_a_whole_burst_may_come_at_once_and_comes_back(rate: float, burst: int) -> None:
    bucket = Bucket(rate, burst)
    for left in range(burst, 0, -1):
        assert bucket.left(5.0) == left
        assert bucket.take(5.0)
    assert not bucket.take(5.0)
    assert bucket.left(5.0) == 0
    later = 5.0 + bucket.until_full(5.0)
    assert later == pytest.approx(5.0 + burst / rate)
    assert bucket.left(later) == burst


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    bucket = Bucket(1.0, 1)
    assert bucket.take(100.0)
    assert not bucket.take(50.0)
    assert bucket.wait(50.0) == 51.0


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_a_bucket_that_never_gives_anything_is_a_mistake(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="bucket"):
        Bucket(rate, burst)


def waits(limits: RateLimits, slot: Slot, now: float) -> int | None:
    """Seconds after which to try again; None when the photo was let in."""
    try:
        limits.take(slot, now)
    except Refusal as refusal:
        return refusal.retry_after
    return None


def test_the_house_limit_counts_all_slots_together() -> None:
    limits = RateLimits(0.5, 2)
    assert waits(limits, SLOT, 0.0) is None
    assert waits(limits, replace(SLOT, id="slot-002"), 0.0) is None
    assert waits(limits, replace(SLOT, id="slot-003"), 0.0) == 2
    assert waits(limits, SLOT, 0.5) == 2
    assert waits(limits, SLOT, 1.5) == 1
    assert waits(limits, SLOT, 2.0) is None


def test_the_reason_is_its_own() -> None:
    limits = RateLimits(1.0, 1)
    limits.take(SLOT, 0.0)
    with pytest.raises(Refusal) as caught:
        limits.take(SLOT, 0.0)
    assert caught.value.reason is Reason.RATE_LIMITED


def test_a_slots_own_limit_takes_nothing_from_the_house_when_it_refuses() -> None:
    limits = RateLimits(1.0, 3)
    slow = replace(SLOT, rate_per_minute=6, rate_burst=1)
    assert waits(limits, slow, 0.0) is None
    for _ in range(5):
        assert waits(limits, slow, 0.0) == 10
    assert waits(limits, replace(SLOT, id="slot-002"), 0.0) is None
    assert waits(limits, replace(SLOT, id="slot-002"), 0.0) is None
    # And the house takes nothing from the slot: this one waits for both, and has to come back just once.
    assert waits(limits, replace(SLOT, id="slot-003", rate_per_minute=6, rate_burst=1), 0.0) == 1
    assert waits(limits, replace(SLOT, id="slot-003", rate_per_minute=6, rate_burst=1), 1.0) is None


def test_a_changed_limit_holds_from_the_next_photo_on() -> None:
    limits = RateLimits(1000.0, 1000)
    assert waits(limits, replace(SLOT, rate_per_minute=1, rate_burst=1), 0.0) is None
    assert waits(limits, replace(SLOT, rate_per_minute=1, rate_burst=1), 0.0) == 60
    assert waits(limits, replace(SLOT, version=2, rate_per_minute=30, rate_burst=1), 0.0) is None
    assert waits(limits, replace(SLOT, version=2, rate_per_minute=30, rate_burst=1), 0.0) == 2
    assert waits(limits, replace(SLOT, version=3), 0.0) is None


def test_a_changed_house_limit_holds_from_the_next_photo_on() -> None:
    limits = RateLimits(1.0, 2)
    assert [waits(limits, SLOT, 0.0) for _ in range(2)] == [None, None]
    limits.set_house(1.0, 2)  # the same one: nobody gets anything for it
    assert waits(limits, SLOT, 0.0) == 1
    limits.set_house(0.1, 1)
    assert [waits(limits, SLOT, 0.0) for _ in range(2)] == [None, 10]


def test_a_rate_without_a_burst_allows_a_minutes_worth_at_once() -> None:
    limits = RateLimits(1000.0, 1000)
    slot = replace(SLOT, rate_per_minute=3)
    assert [waits(limits, slot, 0.0) for _ in range(4)] == [None, None, None, 20]


def test_the_headers_tell_limits_and_what_is_left() -> None:
    limits = RateLimits(10.0, 30)
    slot = replace(SLOT, rate_per_minute=20, rate_burst=5)
    assert limits.headers(SLOT, 0.0) == [("RateLimit-Policy", '"house";q=30;w=3'), ("RateLimit", '"house";r=30;t=0')]
    limits.take(slot, 0.0)
    assert limits.headers(slot, 0.0) == [
        ("RateLimit-Policy", '"house";q=30;w=3, "slot";q=5;w=15'),
        ("RateLimit", '"house";r=29;t=1, "slot";r=4;t=3'),
    ]
    assert limits.headers(slot, 1.5)[1] == ("RateLimit", '"house";r=30;t=0, "slot";r=4;t=2')
