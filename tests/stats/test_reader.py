"""What is read beside the cells: how fresh they are, since when the house is known, what went wrong last."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from photochanger.db.facade import Db
from photochanger.domain.job import JobStatus, Source
from photochanger.domain.records import Change
from photochanger.jobs.journal import Journal
from photochanger.jobs.store import JobStore
from photochanger.stats.queries import Reader, State
from photochanger.stats.rollup import Rollup
from tests.stats.histories import BEGUN, at_random


async def test_in_the_beginning_nothing_is_known(db: Db) -> None:
    assert await Reader(db).state() == State(None, None)


async def test_a_clock_that_was_wrong_for_a_while_spoils_nothing(db: Db) -> None:
    """Ahead by a year, and once in 1970: the stamp comes back from the future, the house was not seen in 1970."""
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    moments = [datetime(1970, 1, 1, 0, 7, tzinfo=UTC), this_hour + timedelta(days=365), this_hour]
    for moment in moments:
        await Rollup(db, ready=lambda: True, now=partial(_same, moment)).once()
        state = await Reader(db).state()
        assert state.fresh_to is not None
        assert state.fresh_to <= datetime.now(UTC)
    assert state.first_seen == this_hour


def _same(moment: datetime) -> datetime:
    return moment


async def test_last_errors_are_those_of_booths(db: Db, tmp_path: Path) -> None:
    store = JobStore(db, Journal(tmp_path / "journal"))
    for number, source in enumerate(Source):
        for change in at_random(random.Random(number)):
            status = change.job.status if change.job.finished_at is None else JobStatus.FAILED
            await store.save(Change(replace(change.job, slot_id="slot-001", source=source, status=status)))
    await store.replay()
    found = await Reader(db).last_errors(["slot-001", "slot-002"])
    assert [len(errors) for errors in found.values()] == [1]
    of = await db.fetchval("SELECT source FROM job WHERE id = $1", found["slot-001"][0]["job_id"])
    assert of == Source.INGEST


async def test_a_long_history_does_not_hide_that_the_house_is_ready(
    db: Db, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting what an outage left may take longer than a minute; refusals are written meanwhile, too."""
    monkeypatch.setattr("photochanger.stats.rollup.EVERY", 0.0)
    store = JobStore(db, Journal(tmp_path / "journal"))
    dice = random.Random(5)
    for _ in range(12):
        for change in at_random(dice):
            await store.save(change)
    await store.replay()
    clock = BEGUN + timedelta(hours=4)

    def now() -> datetime:
        nonlocal clock
        clock += timedelta(minutes=1)
        return clock

    counting = Rollup(db, ready=lambda: True, batch=2, now=now)
    assert await counting.catch_up() == 12
    minutes = await db.fetchval("SELECT sum(bit_count(minutes::bit(64)))::int FROM uptime_hour")
    assert minutes >= 5


async def test_refusals_that_found_no_room_are_told_once(db: Db, caplog: pytest.LogCaptureFixture) -> None:
    counting = Rollup(db, ready=lambda: True)
    counting.refusals.dropped = 3
    for _ in range(2):
        await counting.flush()
    assert caplog.text.count("3 refusals found no room") == 1
