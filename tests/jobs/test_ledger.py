"""The day's money: caps that hold under a rush, midnight, warnings, and what the rows say at the start."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import pytest
import trio
import trio.testing

from photochanger.db.facade import Db
from photochanger.domain.budget import Level
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.records import AttemptRow, Change, JobRow
from photochanger.domain.slot import Slot
from photochanger.errors import DatabaseUnavailable
from photochanger.jobs.journal import Journal
from photochanger.jobs.ledger import Ledger, Reservation
from photochanger.jobs.store import JobStore

PICTURE = 67_000
EVENING = datetime(2026, 11, 20, 23, 59, 30, tzinfo=UTC)


class Clock:
    def __init__(self, at: datetime = EVENING) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


def a_slot(number: int = 1, cap: int | None = None) -> Slot:
    return Slot(f"slot-{number:03}", 1, "gemini", "edit", budget_day_microusd=cap)


def house(cap: int | None = None, at: Callable[[], datetime] | None = None) -> Ledger:
    return Ledger(cap_day_microusd=cap, now=at or Clock())


def reserved(ledger: Ledger, slot: Slot, estimate: int = PICTURE) -> Reservation:
    reservation = ledger.reserve(slot, estimate)
    assert reservation is not None
    return reservation


async def test_fifteen_photos_at_the_edge_of_the_cap_do_not_pass_it_together(autojump_clock: trio.abc.Clock) -> None:
    ledger, made = house(cap=5 * PICTURE + PICTURE // 2), 0
    most = 0

    async def photo(number: int) -> None:
        nonlocal made, most
        slot = a_slot(number)
        while ledger.affordable(slot, PICTURE):
            await trio.lowlevel.checkpoint()  # the look and the reservation are two moments
            reservation = ledger.reserve(slot, PICTURE)
            if reservation is None:
                return
            try:
                level = ledger.level(None)
                most = max(most, level.spent + level.reserved)
                await trio.sleep(number / 10)
            finally:
                reservation.settle(PICTURE)
            made += 1

    async with trio.open_nursery() as nursery:
        for number in range(15):
            nursery.start_soon(photo, number)
    assert made == 5
    assert most == 5 * PICTURE
    assert ledger.level(None) == Level(5 * PICTURE + PICTURE // 2, spent=5 * PICTURE, reserved=0)


@pytest.mark.parametrize("end", ["cancelled", "crashed"])
async def test_a_call_that_comes_to_a_bad_end_leaves_nothing_held_back(end: str) -> None:
    ledger, slot = house(cap=PICTURE), a_slot(cap=PICTURE)

    async def call() -> None:
        reservation = reserved(ledger, slot)
        try:
            if end == "crashed":
                raise RuntimeError("a bug")
            await trio.sleep_forever()
        finally:
            reservation.release()

    async with trio.open_nursery() as nursery:
        if end == "crashed":
            with pytest.raises(RuntimeError):
                await call()
        else:
            nursery.start_soon(call)
            await trio.testing.wait_all_tasks_blocked()
            assert ledger.level(slot).reserved == PICTURE
            nursery.cancel_scope.cancel()
    assert ledger.level(slot) == Level(PICTURE, spent=0, reserved=0)
    assert ledger.affordable(slot, PICTURE)


async def test_a_slot_is_held_by_its_own_cap_and_the_others_are_not() -> None:
    ledger, poor, rich = house(), a_slot(1, cap=PICTURE), a_slot(2)
    reserved(ledger, poor)
    assert ledger.reserve(poor, PICTURE) is None
    assert not ledger.affordable(poor, 1)
    reserved(ledger, rich)
    assert ledger.level(None) == Level(None, spent=0, reserved=2 * PICTURE)


async def test_what_costs_nothing_is_affordable_beyond_every_cap() -> None:
    ledger, slot = house(cap=0), a_slot(cap=0)
    assert ledger.affordable(slot, 0)
    reserved(ledger, slot, 0).settle(0)
    assert ledger.reserve(slot, 1) is None


async def test_a_call_may_cost_more_than_was_held_back_and_is_booked_once() -> None:
    ledger, slot = house(cap=PICTURE), a_slot()
    reservation = reserved(ledger, slot)
    reservation.settle(PICTURE + 500)
    reservation.settle(1)
    reservation.release()
    assert ledger.level(None) == Level(PICTURE, spent=PICTURE + 500, reserved=0)
    assert not ledger.affordable(slot, 1)


async def test_a_call_over_midnight_belongs_to_the_day_on_which_it_began() -> None:
    clock = Clock()
    ledger, slot = house(PICTURE, clock), a_slot()
    reservation = reserved(ledger, slot)
    assert not ledger.affordable(slot, PICTURE)
    clock.at += timedelta(seconds=30)
    assert ledger.level(None) == Level(PICTURE, spent=0, reserved=0)
    tomorrows = reserved(ledger, slot)
    reservation.settle(PICTURE)
    assert ledger.level(None) == Level(PICTURE, spent=0, reserved=PICTURE)
    tomorrows.settle(PICTURE)
    assert ledger.level(None).spent == PICTURE


@pytest.mark.parametrize(
    ("at", "seconds"),
    [
        (EVENING, 30),
        (EVENING + timedelta(microseconds=1), 30),
        (EVENING + timedelta(seconds=29, microseconds=999_999), 1),
        (EVENING + timedelta(seconds=30), 86_400),
        (datetime(2026, 11, 21, 2, 59, 0, tzinfo=timezone(timedelta(hours=3))), 60),
    ],
)
async def test_the_caps_are_free_again_at_midnight_utc(at: datetime, seconds: int) -> None:
    assert house(at=Clock(at)).seconds_until_tomorrow() == seconds


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[object, object]]:
    """Of whom the log tells, and which percentage."""
    return [
        (record.args[0], record.args[3] if "over" in record.msg else 100)
        for record in caplog.records
        if isinstance(record.args, tuple)
    ]


async def test_the_operator_is_told_once_per_level_and_day(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    ledger = Ledger(cap_day_microusd=2_000_000, now=clock)
    slot = a_slot(cap=1_000_000)
    for cost in (400_000, 100_000, 100_000, 250_000, 150_000):
        reserved(ledger, slot, cost).settle(cost)
    assert told(caplog) == [("slot-001", 50), ("slot-001", 80), ("slot-001", 100), ("the house", 50)]
    assert "slot-001 has spent 0.50 of 1.00 USD, over 50 % of today's budget" in caplog.text
    assert "today's budget of slot-001 lets no call by until 00:00 UTC: 1.00 spent" in caplog.text
    caplog.clear()
    clock.at += timedelta(hours=12)
    reserved(ledger, slot, 900_000).settle(900_000)
    assert told(caplog) == [("slot-001", 80)]  # which says that it is over 50, too


async def test_what_is_only_held_back_warns_nobody(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger(cap_day_microusd=100, now=Clock())
    reserved(ledger, a_slot(), 60).release()
    assert told(caplog) == []


async def test_a_rest_too_small_for_any_call_is_a_used_up_budget(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger(cap_day_microusd=100, now=Clock())
    slot = a_slot()
    reserved(ledger, slot, 90).settle(90)
    assert not ledger.affordable(slot, 20)
    assert ledger.reserve(slot, 20) is None
    assert told(caplog) == [("the house", 80), ("the house", 100)]


def test_another_cap_holds_at_once_and_is_told_of_anew(caplog: pytest.LogCaptureFixture) -> None:
    ledger, slot = house(cap=100), a_slot()
    running = reserved(ledger, slot, 60)
    ledger.cap_day_microusd = 70
    assert not ledger.affordable(slot, 20)
    running.settle(60)  # what runs is booked, whatever the cap is by then
    assert told(caplog) == [("the house", 80)]
    ledger.cap_day_microusd = 60
    assert told(caplog)[1:] == [("the house", 100)]
    ledger.cap_day_microusd = None
    assert ledger.affordable(slot, 10**9)
    ledger.cap_day_microusd = 60
    assert told(caplog)[2:] == [("the house", 100)]


def _job(slot_id: str) -> JobRow:
    return JobRow(uuid4(), slot_id, 1, "gemini", EVENING, EVENING, 1, b"", None, EVENING)


def _attempt(job: JobRow, at: datetime, cost: int | None) -> AttemptRow:
    begun = AttemptRow(uuid4(), job.id, 1, "gemini", "model", at, estimate_microusd=PICTURE)
    if cost is None:
        return begun
    verdict = Verdict.PICTURE if cost else Verdict.OVERLOADED
    return begun.ended(AttemptOutcome(verdict, cost_microusd=cost), at, 1.0)


async def test_a_new_process_knows_what_was_spent_today(db: Db, journal: Journal) -> None:
    store = JobStore(db, journal)
    midnight = EVENING.replace(hour=0, minute=0, second=0)
    one, two = _job("slot-001"), _job("slot-002")
    attempts = [
        _attempt(one, midnight - timedelta(microseconds=1), 1_000_000),  # yesterday's
        _attempt(one, midnight, 1_000),
        _attempt(one, EVENING, 200),
        _attempt(one, EVENING, 0),  # ended, cost nothing
    ]
    await store.save(Change(one, tuple(attempts)))
    await store.save(Change(two, (_attempt(two, EVENING, None),)))  # begun: what was expected of it
    ledger = house(cap=10_000_000)
    reserved(ledger, a_slot(3), 5)
    await ledger.load(db)
    assert ledger.level(a_slot(1)).spent == 1_200
    assert ledger.level(a_slot(2)).spent == PICTURE
    assert ledger.level(None) == Level(10_000_000, spent=1_200 + PICTURE, reserved=0)


async def test_a_start_with_a_used_up_budget_says_so(
    db: Db, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    job = _job("slot-001")
    await JobStore(db, journal).save(Change(job, (_attempt(job, EVENING, 1_000),)))
    caplog.clear()
    await Ledger(cap_day_microusd=1_000, now=Clock()).load(db)
    assert told(caplog) == [("the house", 100)]


async def test_without_a_database_what_is_known_stays(db: Db) -> None:
    ledger = house()
    reserved(ledger, a_slot()).settle(7)
    db.disconnect("gone for this test")
    with pytest.raises(DatabaseUnavailable):
        await ledger.load(db)
    assert ledger.level(None).spent == 7


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")
