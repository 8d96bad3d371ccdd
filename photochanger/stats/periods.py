"""Ranges of time in statistics: whole days of UTC, alone or seven together."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal

from photochanger.errors import Problem, Refusal
from photochanger.web.inputs import invalid

Group = Literal["day", "week"]

_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_FIRST: Final = date(2020, 1, 1)
_LAST: Final = date(2100, 1, 1)
WORKING_HOURS: Final = range(5, 19)
"""Of UTC: 08:00 to 22:00 in Moscow, where clocks are never changed."""

_OPENS: Final = timedelta(hours=WORKING_HOURS.start)
_CLOSES: Final = timedelta(hours=WORKING_HOURS.stop)


@dataclass(frozen=True, slots=True)
class Period:
    """From the beginning of one day to the end of another, both included."""

    first: date
    last: date

    @property
    def start(self) -> datetime:
        """Its first moment."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.last + _DAY, time(), UTC)

    def days(self) -> Iterator[datetime]:
        """The beginnings of its days."""
        day, end = self.start, self.end
        while day < end:
            yield day
            day += _DAY

    def minutes(self, since: datetime, until: datetime) -> int:
        """Whole minutes of it between two moments."""
        return _minutes(max(self.start, since), min(self.end, until))

    def working_minutes(self, since: datetime, until: datetime) -> int:
        """Of these, the minutes of working hours."""
        total = 0
        for day in self.days():
            total += _minutes(max(day + _OPENS, since), min(day + _CLOSES, until))
        return total


def day_range(given_from: date | None, given_to: date | None, *, most: int, usual: int, today: date) -> Period:
    """The days that were asked for; what is left out makes it `usual` days, up to today.

    Raises Refusal (validation_failed): the wrong way round, longer than `most` days, or out of this century.
    """
    for name, day in (("from", given_from), ("to", given_to)):
        if day is not None and not _FIRST <= day < _LAST:
            raise invalid(Problem(name, f"must be between {_FIRST} and {_LAST - _DAY}"))
    last = given_to or max(today, given_from or today)
    if given_to is None and given_from is not None:
        last = min(last, given_from + _DAY * (most - 1))
    first = given_from or last - _DAY * (usual - 1)
    if last < first:
        raise invalid(Problem("to", "lies before the beginning"))
    if (last - first).days >= most:
        raise _too_long(most)
    return Period(first, last)


def weeks_before(today: date, weeks: int) -> date:
    """The Monday with which the last so many weeks begin, the present one included."""
    return today - timedelta(days=today.weekday(), weeks=weeks - 1)


def parts(whole: Period, group: Group) -> Iterator[Period]:
    """The days of a period, or its weeks: they begin on Mondays, the first and the last may be cut off."""
    first = whole.first
    while first <= whole.last:
        days_left = 0 if group == "day" else 6 - first.weekday()
        last = min(first + timedelta(days=days_left), whole.last)
        yield Period(first, last)
        first = last + _DAY


def _too_long(most: int) -> Refusal:
    return invalid(Problem("from", f"is too far away: at most {most} days can be shown"))


def _minutes(start: datetime, end: datetime) -> int:
    return max(0, (end - start) // _MINUTE)
