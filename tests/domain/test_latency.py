"""How long the next call may take: the cold start, the recent calls, and calls that were cut off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochanger.domain.latency import Expected, Latencies

COLD = Expected(12.0, 20.0, 25.0)

_calls = st.lists(st.tuples(st.floats(0, 200), st.booleans(), st.floats(0, 60)), max_size=100)


def after(calls: list[tuple[float, bool]], cold: Expected = COLD) -> Expected:
    latencies = Latencies(cold)
    for seconds, complete in calls:
        latencies.took(seconds, 0.0, complete=complete)
    return latencies.now(0.0)


def test_the_cold_start_holds_until_something_was_measured() -> None:
    assert Latencies(COLD).now(0.0) == COLD


def test_eight_complete_calls_replace_the_cold_start() -> None:
    assert after([(1.0, True)] * 7).p95 > 1.0
    assert after([(1.0, True)] * 8) == Expected(1.0, 1.0, 1.0)


def test_every_complete_call_takes_the_place_of_a_cold_one() -> None:
    assert after([(1.0, True)] * 3).p50 == 12.0  # 3 of 8 are quick
    assert after([(1.0, True)] * 4) == Expected(1.0, 20.0, 20.0)  # 4 of 8; a tenth of the other four is under 5 %


def test_the_quantiles_of_complete_calls_are_those_of_the_sorted_list() -> None:
    calls = [(float(seconds), True) for seconds in range(20, 0, -1)]
    assert after(calls) == Expected(10.0, 18.0, 19.0)


def test_calls_that_were_cut_off_make_the_rest_longer_by_the_textbook() -> None:
    # At risk 10, 8 left after the two at 1 s: 0.8. Two are cut off at 2 s. At 3 s two of six end: 0.8 * 4/6 = 0.533.
    # At 4 s one of four: 0.4. At 5 s all three: 0.
    calls = [(1.0, True)] * 2 + [(2.0, False)] * 2 + [(3.0, True)] * 2 + [(4.0, True)] + [(5.0, True)] * 3
    assert after(calls) == Expected(4.0, 5.0, 5.0)


def test_a_call_cut_off_at_the_length_of_another_was_longer_than_it() -> None:
    # Were it put first, the two at 10 s would be nine of nine.
    assert after([(10.0, False)] + [(10.0, True)] * 9 + [(30.0, True)]).p95 == 30.0


def test_a_quantile_that_was_never_reached_is_the_longest_call() -> None:
    assert after([(1.0, True)] * 8 + [(40.0, False)] * 8) == Expected(1.0, 40.0, 40.0)
    assert after([(40.0, False)] * 64) == Expected(40.0, 40.0, 40.0)


def test_a_hanging_provider_is_noticed_before_anything_was_measured() -> None:
    assert after([(40.0, False)]).p95 == 40.0


def test_a_call_that_was_cut_off_early_says_next_to_nothing() -> None:
    assert after([(0.5, False)] * 30) == COLD


def test_a_provider_that_goes_on_hanging_does_not_come_to_look_slow() -> None:
    latencies = Latencies(COLD)
    for seconds in range(11, 31):
        latencies.took(float(seconds), 0.0, complete=True)
    assert latencies.hangs_after(0.0) == latencies.now(0.0).p95 == 29.0
    for _ in range(20):
        latencies.took(40.0, 1.0, complete=False)
    assert latencies.now(1.0).p95 == 40.0
    assert latencies.hangs_after(1.0) == 29.0
    assert latencies.hangs_after(900.0) == 25.0  # the cold start again


def test_quick_answers_do_not_make_usual_ones_look_like_hangs() -> None:
    latencies = Latencies(COLD)
    for _ in range(20):
        latencies.took(8.0, 0.0, complete=True)
    assert latencies.now(0.0).p95 == 8.0
    assert latencies.hangs_after(0.0) == COLD.p95


def test_old_calls_are_forgotten() -> None:
    latencies = Latencies(COLD, max_age=900.0)
    for at in range(20):
        latencies.took(1.0, float(at), complete=True)
    assert latencies.now(899.0) == Expected(1.0, 1.0, 1.0)
    assert latencies.now(915.0).p50 == 1.0  # four are left
    assert latencies.now(916.0).p50 == 12.0  # three
    assert latencies.now(919.0) == COLD


def test_only_the_last_calls_count() -> None:
    latencies = Latencies(COLD, keep=10)
    for seconds in [100.0] * 10 + [1.0] * 10:
        latencies.took(seconds, 0.0, complete=True)
    assert latencies.now(0.0) == Expected(1.0, 1.0, 1.0)


def test_it_is_computed_once_per_change() -> None:
    latencies = Latencies(COLD)
    latencies.took(1.0, 0.0, complete=True)
    assert latencies.now(1.0) is latencies.now(2.0)


@given(_calls)
def test_the_quantiles_rise_and_lie_between_what_was_seen(calls: list[tuple[float, bool, float]]) -> None:
    latencies, now = Latencies(COLD), 0.0
    for seconds, complete, later in calls:
        now += later
        latencies.took(seconds, now, complete=complete)
        expected = latencies.now(now)
        assert expected.p50 <= expected.p90 <= expected.p95
        seen = {seconds for seconds, _, _ in calls} | {COLD.p50, COLD.p90, COLD.p95}
        assert {expected.p50, expected.p90, expected.p95} <= seen


@given(st.lists(st.floats(0, 200), min_size=8, max_size=64))
def test_of_complete_calls_the_share_that_is_promised_does_not_take_longer(seconds: list[float]) -> None:
    expected = after([(each, True) for each in seconds])
    for share, quantile in ((0.5, expected.p50), (0.9, expected.p90), (0.95, expected.p95)):
        assert sum(each <= quantile for each in seconds) >= share * len(seconds) - 1e-6
        assert sum(each < quantile for each in seconds) < share * len(seconds) + 1e-6


@given(st.lists(st.tuples(st.floats(0, 200), st.booleans()), max_size=63), st.floats(0, 100), st.floats(0, 100))
def test_a_call_cut_off_later_never_makes_less_be_expected(
    calls: list[tuple[float, bool]], seconds: float, more: float
) -> None:
    early, late = after([*calls, (seconds, False)]), after([*calls, (seconds + more, False)])
    assert early.p50 <= late.p50
    assert early.p90 <= late.p90
    assert early.p95 <= late.p95


@pytest.mark.parametrize("complete", [True, False])
def test_a_clock_that_is_a_little_off_gives_no_negative_time(complete: bool) -> None:
    assert after([(-0.1, complete)] * 20).p50 >= 0.0
