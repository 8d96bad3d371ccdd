"""A day's money against its caps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochanger.domain.budget import Level, Spending


def test_what_is_held_back_counts_against_the_cap_until_it_is_booked() -> None:
    spending = Spending({"slot-001": 100})
    spending.reserve("slot-001", 60)
    assert spending.level("slot-001", 200) == Level(200, spent=100, reserved=60)
    assert spending.level("slot-001", 200).share == 0.8
    assert spending.level("slot-001", 200).spent_percent == 50.0
    spending.book("slot-001", 60, 75)
    assert spending.level("slot-001", 200) == Level(200, spent=175, reserved=0)


def test_the_house_is_the_sum_of_its_slots() -> None:
    spending = Spending({"slot-001": 100, "slot-002": 20})
    spending.reserve("slot-003", 7)
    assert spending.level(None, None) == Level(None, spent=120, reserved=7)
    assert spending.level("slot-004", None) == Level(None, spent=0, reserved=0)


@pytest.mark.parametrize(
    ("cap", "estimate", "fits"),
    [(None, 10**12, True), (110, 10, True), (109, 10, False), (50, 0, True), (0, 0, True), (0, 1, False)],
)
def test_a_call_fits_up_to_the_cap_and_a_free_one_always(cap: int | None, estimate: int, fits: bool) -> None:
    assert Level(cap, spent=60, reserved=40).fits(estimate) is fits


def test_without_a_cap_there_is_no_share_and_a_cap_of_nothing_is_used_up() -> None:
    assert Level(None, 5, 5).share is None
    assert Level(None, 5, 5).spent_percent is None
    assert Level(0, 0, 0).share == 1.0
    assert Level(0, 0, 0).spent_percent == 100.0


_amounts = st.integers(0, 10_000)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), _amounts, _amounts, st.booleans())))
def test_nothing_is_lost_and_nothing_stays_held_back(calls: list[tuple[str, int, int, bool]]) -> None:
    spending = Spending()
    for slot_id, estimate, _, _ in calls:
        spending.reserve(slot_id, estimate)
    for slot_id, estimate, actual, over in calls:
        if over:
            spending.book(slot_id, estimate, actual)
    for whose in ("a", "b", "c", None):
        mine = [call for call in calls if whose in (None, call[0])]
        level = spending.level(whose, None)
        assert level.spent == sum(actual for _, _, actual, over in mine if over)
        assert level.reserved == sum(estimate for _, estimate, _, over in mine if not over)
