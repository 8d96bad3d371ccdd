"""When a newcomer to a lane would have its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochanger.domain.lane import expected_start

NOW = 100.0


@pytest.mark.parametrize(
    ("permits", "ends", "waiting", "start"),
    [
        (2, [], 0, NOW),  # empty
        (2, [150.0], 0, NOW),  # one place is free
        (2, [130.0, 150.0], 0, 130.0),
        (2, [150.0, 130.0], 0, 130.0),  # in any order
        (2, [130.0, 150.0], 1, 140.0),  # the one before takes the first place, for ten seconds
        (2, [130.0, 150.0], 2, 150.0),
        (2, [130.0, 150.0], 3, 150.0),
        (1, [110.0], 3, 140.0),
        (3, [90.0], 0, NOW),  # overdue: it gives its place back any moment
        (1, [90.0], 1, 110.0),
        (1, [110.0, 120.0], 0, 120.0),  # the lane was made smaller: the first place that comes back is one too many
    ],
)
def test_places_become_free_one_after_the_other(permits: int, ends: list[float], waiting: int, start: float) -> None:
    assert expected_start(NOW, permits, ends, waiting, 10.0) == start


@given(
    permits=st.integers(1, 8),
    ends=st.lists(st.floats(50, 200), max_size=8),
    waiting=st.integers(0, 20),
    service=st.floats(0, 60),
)
def test_it_is_never_past_and_more_before_one_never_help(
    permits: int, ends: list[float], waiting: int, service: float
) -> None:
    start = expected_start(NOW, permits, ends, waiting, service)
    assert start >= NOW
    assert expected_start(NOW, permits, ends, waiting + 1, service) >= start
    assert expected_start(NOW, permits + 1, ends, waiting, service) <= start
    assert start <= max([NOW, *ends]) + waiting * service + 1e-6


def test_a_service_that_is_not_known_takes_no_time() -> None:
    assert expected_start(NOW, 2, [120.0, 130.0], 5, 0.0) == 120.0
