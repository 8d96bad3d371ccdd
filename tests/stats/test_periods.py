"""Days and weeks of UTC."""

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochanger.errors import Refusal
from photochanger.stats.periods import Period, day_range, parts, weeks_before

DAYS = st.dates(date(2020, 1, 1), date(2099, 12, 31))
TODAY = date(2026, 11, 20)


@given(DAYS, st.integers(0, 89), st.sampled_from(["day", "week"]))
def test_parts_make_the_whole(first: date, length: int, group: str) -> None:
    whole = Period(first, first + timedelta(days=length))
    found = list(parts(whole, group))  # type: ignore[arg-type]
    assert found[0].first == whole.first
    assert found[-1].last == whole.last
    for earlier, later in itertools.pairwise(found):
        assert later.first == earlier.last + timedelta(days=1)
        assert group == "day" or later.first.weekday() == 0
    assert [day for part in found for day in part.days()] == list(whole.days())


@given(st.none() | st.dates(), st.none() | st.dates(), DAYS)
def test_a_range_is_within_its_limits_or_refused(first: date | None, last: date | None, today: date) -> None:
    try:
        period = day_range(first, last, most=31, usual=14, today=today)
    except Refusal:
        return
    assert 0 <= (period.last - period.first).days < 31
    assert first is None or period.first == first
    assert last is None or period.last == last


def test_what_is_left_out() -> None:
    assert day_range(None, None, most=31, usual=14, today=TODAY) == Period(date(2026, 11, 7), TODAY)
    assert day_range(date(2026, 11, 1), None, most=31, usual=14, today=TODAY) == Period(date(2026, 11, 1), TODAY)
    assert day_range(None, date(2026, 10, 10), most=31, usual=14, today=TODAY).first == date(2026, 9, 27)


@pytest.mark.parametrize("today", [date(2026, 11, 16), TODAY, date(2026, 11, 22)])
def test_weeks_begin_on_mondays(today: date) -> None:
    assert weeks_before(today, 1) == date(2026, 11, 16)
    assert weeks_before(today, 8) == date(2026, 9, 28)


def at(hour: int, minute: int = 0, day: int = 20) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def test_minutes_since_the_first_one_known() -> None:
    day = Period(TODAY, TODAY)
    assert day.minutes(at(0, day=1), at(0, day=25)) == 1440
    assert day.minutes(at(22), at(0, day=25)) == 120
    assert day.minutes(at(1), at(1, 30)) == 30
    assert day.minutes(at(0, day=21), at(0, day=25)) == 0


def test_working_hours_are_moscows() -> None:
    """08:00 to 22:00 there are 05:00 to 19:00 here."""
    day = Period(TODAY, TODAY)
    assert day.working_minutes(at(0, day=1), at(0, day=25)) == 14 * 60
    assert day.working_minutes(at(4, 59), at(5, 1)) == 1
    assert day.working_minutes(at(18, 59), at(23)) == 1
    assert day.working_minutes(at(19), at(5, day=21)) == 0
    assert Period(date(2026, 11, 19), TODAY).working_minutes(at(18, day=19), at(6)) == 120


def test_an_evening_is_not_split() -> None:
    """A wedding from 20:00 to 02:00 in Moscow is one day of UTC."""
    evening = [datetime(2026, 11, 20, 17, tzinfo=UTC), datetime(2026, 11, 20, 23, tzinfo=UTC)]
    assert {moment.date() for moment in evening} == {TODAY}
