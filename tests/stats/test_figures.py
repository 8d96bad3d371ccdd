"""From cells to figures: what counts as what, and against what."""

from datetime import UTC, date, datetime, timedelta

import pytest

from photochanger.db.facade import Db
from photochanger.domain.budget import Level
from photochanger.domain.reasons import REASONS
from photochanger.ingest.routes import PROBLEMS
from photochanger.stats.answers import Answers, Now
from photochanger.stats.figures import MISTAKES, counts_of, kpis_of, percent
from photochanger.stats.periods import Period
from photochanger.stats.queries import Reader
from photochanger.stats.rollup import Rollup

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
CELL = dict.fromkeys(
    (
        *("jobs", "replied_ok", "replied_timeout", "replied_other", "kind_none", "kind_ai", "kind_fallback"),
        *("kind_local", "kind_original", "late", "retries", "joined"),
    ),
    0,
)


def answers(db: Db, now: datetime = NOW) -> Answers:
    return Answers(
        Reader(db),
        Now(
            slots=list,
            lanes=dict,
            in_flight=int,
            late=int,
            draining=bool,
            database_available=lambda: True,
            journal=int,
            level=lambda _slot: Level(None, 0, 0),
            providers=list,
            clock=lambda: now,
        ),
    )


def test_every_reason_to_refuse_a_photo_is_the_booths_or_the_houses() -> None:
    """By its status: what the request did wrong is a mistake, what is said of room or of our state is not."""
    for reason in PROBLEMS:
        if reason in MISTAKES:
            assert REASONS[reason].status < 429, reason
        else:
            assert REASONS[reason].status >= 429, reason


def test_the_promises_are_kept_against_photos_that_were_sent_properly() -> None:
    cell = CELL | {"jobs": 8, "replied_ok": 6, "replied_timeout": 1, "replied_other": 1}
    counts = counts_of([cell, cell], {"slot_busy": 3, "draining": 1, "invalid_credentials": 50, "client_gone": 2})
    assert (counts.turned_away, counts.mistaken) == (4, 52)
    kpis = kpis_of(counts, [], [])
    assert (kpis.answered_percent, kpis.timeout_percent) == (60.0, 10.0)
    assert kpis.answer_p50_ms is None


def test_a_share_of_nothing_is_not_told_and_none_is_above_all() -> None:
    assert percent(0, 0) is None
    assert percent(61, 60) == 100.0


async def seen(db: Db, *moments: datetime) -> None:
    for moment in moments:
        await Rollup(db, ready=lambda: True, now=lambda moment=moment: moment).once()  # type: ignore[misc]


async def test_availability_counts_from_the_first_minute_known(db: Db) -> None:
    """Up from 11:30 to 11:59 but for ten minutes; the minute that is not over yet does not count against it."""
    start = NOW.replace(hour=11, minute=30, second=5)
    up = [minute for minute in range(30) if not 10 <= minute < 20]
    await seen(db, *(start + timedelta(minutes=minute) for minute in up))
    whole = await answers(db).whole(Period(date(2026, 11, 19), NOW.date()), "day")
    yesterday, today = (period.availability for period in whole.data)
    assert yesterday is not None
    assert today is not None
    assert (yesterday.percent, yesterday.working_hours_percent) == (None, None)
    assert (today.percent, today.working_hours_percent) == (66.67, 66.67)
    assert whole.total.availability == today


async def test_a_night_is_no_working_hour(db: Db) -> None:
    await seen(db, datetime(2026, 11, 20, 4, 59, tzinfo=UTC), datetime(2026, 11, 20, 5, 0, tzinfo=UTC))
    system = await answers(db, datetime(2026, 11, 20, 5, 1, tzinfo=UTC)).system()
    assert system.last_day is not None
    assert system.last_day.availability.percent == 100.0
    assert system.last_day.availability.working_hours_percent == 100.0
    later = await answers(db, datetime(2026, 11, 20, 5, 3, tzinfo=UTC)).system()
    assert later.last_day is not None
    assert later.last_day.availability.percent == 50.0
    assert later.last_day.availability.working_hours_percent == 33.33


async def test_the_last_day_is_twenty_four_hours_and_this_one(db: Db) -> None:
    for hours, reason in ((0, "slot_busy"), (24, "queue_full"), (25, "draining")):
        rollup = Rollup(db, ready=lambda: False, now=lambda hours=hours: NOW - timedelta(hours=hours))  # type: ignore[misc]
        rollup.refusals.add("slot-001", reason)
        await rollup.flush()
    system = await answers(db).system()
    assert system.last_day is not None
    assert {each.name for each in system.last_day.refusals} == {"slot_busy", "queue_full"}


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 11, 20, 23, 59, 59, 999999, tzinfo=UTC), date(2026, 11, 20)),
        (datetime(2026, 11, 21, 0, 0, tzinfo=UTC), date(2026, 11, 21)),
        (datetime.fromisoformat("2026-11-21T02:59:59+03:00"), date(2026, 11, 20)),  # still the evening in Moscow
    ],
)
async def test_a_day_ends_at_midnight_of_utc(db: Db, moment: datetime, day: date) -> None:
    rollup = Rollup(db, ready=lambda: False, now=lambda: moment)
    rollup.refusals.add("slot-001", "slot_busy")
    await rollup.flush()
    slot = await answers(db).slot("slot-001", Period(date(2026, 11, 19), date(2026, 11, 22)))
    assert [period.first for period in slot.data if period.counts.turned_away] == [day]
