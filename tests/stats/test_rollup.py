"""Everything that ended is counted exactly once, whatever the order in which it came and whoever counts."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.lowlevel
import trio.testing

from photochanger.db.facade import Db
from photochanger.db.target import Target
from photochanger.domain.job import JobStatus, ReplyKind, Source
from photochanger.domain.records import Change
from photochanger.errors import DatabaseUnavailable
from photochanger.jobs.journal import Journal
from photochanger.jobs.store import JobStore
from photochanger.stats.rollup import Rollup
from tests.db.rest import at_rest
from tests.lab.waiting import until
from tests.stats.cells import assert_exact, cells
from tests.stats.histories import BEGUN, at_random

LATER = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def rollup(
    db: Db, *, batch: int = 250, now: Callable[[], datetime] = lambda: LATER, waiting: Callable[[], int] = lambda: 0
) -> Rollup:
    return Rollup(db, ready=lambda: True, waiting=waiting, batch=batch, now=now)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def store(db: Db, journal: Journal) -> JobStore:
    return JobStore(db, journal)


def lives(seed: int, number: int) -> list[list[Change]]:
    dice = random.Random(seed)
    return [at_random(dice) for _ in range(number)]


async def write(store: JobStore, changes: list[Change]) -> None:
    for change in changes:
        await store.save(change)
    await store.replay()  # on a busy machine some of it may have gone through the journal


def as_it_happened(dice: random.Random, histories: list[list[Change]]) -> list[tuple[datetime, Change]]:
    """All changes, each with its moment, in their order: photos overlap, corrections come soon after the end."""
    happened = []
    for history in histories:
        moment = history[0].job.created_at
        for change in history:
            finished = change.job.finished_at
            moment += timedelta(seconds=dice.uniform(0, 5))
            if finished is not None:
                moment = max(moment, finished) if change.attempts else finished + timedelta(seconds=dice.uniform(0, 9))
            happened.append((moment, change))
    return sorted(happened, key=lambda each: each[0])


async def test_photos_and_calls_are_counted_once(db: Db, store: JobStore) -> None:
    await write(store, [change for life in lives(1, 40) for change in life])
    assert await rollup(db, batch=7).catch_up() == 40
    assert await assert_exact(db) == 40
    assert await rollup(db).catch_up() == 0
    await assert_exact(db)


@pytest.mark.parametrize("seed", range(6))
async def test_in_whatever_order_they_come(
    db: Db, store: JobStore, journal: Journal, postgres_url: str, seed: int
) -> None:
    """Rows come mixed, some through the journal, some twice; the roll-up comes between them, by the same clock."""
    dice = random.Random(seed)
    clock = BEGUN - timedelta(hours=2)
    counting = rollup(db, batch=5, waiting=lambda: journal.depth, now=lambda: clock)
    away = False
    counted = 0
    for moment, change in as_it_happened(dice, lives(seed, 25)):
        clock = moment
        if dice.random() < 0.08:
            if away:
                await db.connect(Target.of(postgres_url))
                await store.replay()
            else:
                db.disconnect("away for this test")
            away = not away
        await store.save(change)
        if dice.random() < 0.1:
            await store.save(change)
        if dice.random() < 0.3:
            try:
                await counting.once()
                counted += not away
            except DatabaseUnavailable:
                assert away
    assert counted > 5
    if away:
        await db.connect(Target.of(postgres_url))
    await store.replay()
    clock = LATER
    await counting.catch_up()
    assert await assert_exact(db) == 25


async def test_two_at_once_count_nothing_twice(db: Db, store: JobStore) -> None:
    await write(store, [change for life in lives(3, 60) for change in life])
    async with trio.open_nursery() as nursery:
        for batch in (3, 4, 250):
            nursery.start_soon(rollup(db, batch=batch).catch_up)
    await rollup(db).catch_up()
    assert await assert_exact(db) == 60
    await at_rest(db)


async def test_counting_beside_photos_that_are_written(db: Db, store: JobStore) -> None:
    """Nobody waits for anybody in a circle: no deadlock, and in the end all is counted."""
    histories = lives(4, 80)
    writing = 1

    async def count() -> None:
        with trio.move_on_after(60) as patience:
            while await rollup(db, batch=5).catch_up() or writing:
                await trio.lowlevel.checkpoint()
        assert not patience.cancelled_caught

    async def write_all() -> None:
        nonlocal writing
        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(write, store, [change for life in histories[number::4] for change in life])
        writing -= 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write_all)
        nursery.start_soon(count)
    await store.replay()
    await rollup(db).catch_up()
    assert await db.fetchval("SELECT count(*) FROM job WHERE rolled_at IS NULL") == 0
    assert await db.fetchval("SELECT count(*) FROM attempt WHERE rolled_at IS NULL AND outcome IS NOT NULL") == 0
    jobs = "SELECT sum(jobs)::int FROM stats_slot WHERE slot_id = '' AND span = 'day'"
    assert await db.fetchval(jobs) == 80
    calls = "SELECT sum(calls)::int FROM stats_provider WHERE slot_id = '' AND span = 'day'"
    assert await db.fetchval(calls) == await db.fetchval("SELECT count(*) FROM attempt WHERE outcome IS NOT NULL")


async def test_cancelled_at_any_moment_nothing_is_half_counted(db: Db, store: JobStore) -> None:
    await write(store, [change for life in lives(5, 60) for change in life])
    interrupted = 0
    for step in range(60):
        with trio.move_on_after(step * 0.002) as scope:
            await rollup(db, batch=4).catch_up()
        interrupted += scope.cancelled_caught
        await at_rest(db)
        counted = [dict(row) for row in await db.fetch("SELECT * FROM job WHERE rolled_at IS NOT NULL")]
        told = await db.fetchval("SELECT sum(jobs)::int FROM stats_slot WHERE slot_id = '' AND span = 'hour'")
        assert (told or 0) == len(counted)
    assert interrupted > 0
    await rollup(db).catch_up()
    await assert_exact(db)


async def test_what_is_not_settled_waits(db: Db, store: JobStore) -> None:
    """A photo is counted when the reply that it tells of is the last word: fifteen seconds after its end."""
    (life,) = lives(6, 1)
    await write(store, life)
    finished = life[-1].job.finished_at
    assert finished is not None
    assert await rollup(db, now=lambda: finished + timedelta(seconds=14)).catch_up() == 0
    assert await rollup(db, now=lambda: finished + timedelta(seconds=16)).catch_up() == 1


async def test_while_the_journal_holds_something_nothing_is_counted(db: Db, store: JobStore) -> None:
    await write(store, [change for life in lives(7, 3) for change in life])
    await rollup(db, waiting=lambda: 1).once()
    assert (await cells(db)).slots == {}
    await rollup(db).once()
    await assert_exact(db)


async def test_a_504_is_counted_when_it_is_given_and_once(db: Db, store: JobStore) -> None:
    """The work goes on, a repeat gets the picture: the booth that was told 504 printed the original all the same."""
    (life,) = lives(15, 1)
    replied_at = BEGUN + timedelta(seconds=48)
    working = replace(
        life[1].job,
        created_at=BEGUN,
        source=Source.INGEST,
        told_504=True,
        reply_kind=ReplyKind.ERROR,
        reply_status=504,
        replied_at=replied_at,
    )
    await store.save(Change(working))
    await rollup(db, now=lambda: replied_at + timedelta(seconds=14)).catch_up()
    assert (await cells(db)).slots == {}
    for _ in range(2):
        await rollup(db, now=lambda: replied_at + timedelta(seconds=16)).catch_up()
        assert await _of_the_house(db) == {"jobs": 1, "replied_timeout": 1, "kind_error": 1}
    ended = replied_at + timedelta(seconds=60)
    done = replace(
        working,
        status=JobStatus.DONE,
        reply_kind=ReplyKind.AI,
        reply_status=200,
        replied_at=ended,
        finished_at=ended,
        joined=1,
    )
    await store.save(Change(done))
    for _ in range(2):
        await rollup(db).catch_up()
        told = await _of_the_house(db)
        assert told == {"jobs": 1, "replied_timeout": 1, "kind_error": 1, "done": 1, "joined": 1}
    await assert_exact(db)


async def _of_the_house(db: Db) -> dict[str, int]:
    [counters] = [counters for key, counters in (await cells(db)).slots.items() if key[:2] == ("", "day")]
    return dict(counters)


async def test_rows_that_others_hold_are_left_for_the_next_time(db: Db, store: JobStore) -> None:
    await write(store, [change for life in lives(8, 10) for change in life])
    held = await db.fetchval("SELECT id FROM job LIMIT 1")
    async with db.transaction() as holder:
        await holder.execute("SELECT FROM job WHERE id = $1 FOR UPDATE", held)
        with trio.fail_after(20):
            assert await rollup(db).catch_up() == 9
    assert await rollup(db).catch_up() == 1
    await assert_exact(db)


async def test_rows_of_photos_in_work_are_never_locked(db: Db, store: JobStore) -> None:
    """What a photo at work writes meets no lock: its calls that ended early are counted with it."""
    (life,) = lives(9, 1)
    unsettled = [change for change in life if change.job.finished_at is None]
    await write(store, unsettled)
    await rollup(db).catch_up()
    assert await db.fetchval("SELECT count(*) FROM attempt WHERE rolled_at IS NOT NULL") == 0
    await write(store, life)
    await rollup(db).catch_up()
    await assert_exact(db)


async def test_old_rows_go_into_their_own_hour(db: Db, store: JobStore) -> None:
    """The journal may bring rows from before what was counted last; a pass that looks at everything finds them."""
    counting = rollup(db)
    await counting.catch_up()
    dice = random.Random(10)
    await write(store, at_random(dice, BEGUN - timedelta(days=3)))
    assert await counting.catch_up() == 0, "it looks back a little only"
    counting._look_at_all = trio.current_time()
    assert await counting.catch_up() == 1
    await assert_exact(db)


async def test_tests_and_reruns_have_cells_of_their_own(db: Db, store: JobStore) -> None:
    for source in Source:
        (life,) = lives(11, 1)
        life = at_random(random.Random(source.value))
        await write(store, [replace(change, job=replace(change.job, source=source)) for change in life])
    await rollup(db).catch_up()
    await assert_exact(db)
    rows = await db.fetch("SELECT source, sum(jobs)::int FROM stats_slot WHERE span = 'hour' GROUP BY source")
    assert {row[0]: row[1] for row in rows} == {source.value: 1 for source in Source}


async def test_after_a_restart_it_goes_on(db: Db, store: JobStore) -> None:
    histories = lives(12, 12)
    await write(store, [change for life in histories[:6] for change in life])
    await rollup(db).catch_up()
    await write(store, [change for life in histories[6:] for change in life])
    assert await rollup(db).catch_up() == 6
    await assert_exact(db)


async def run_for_a_while(counting: Rollup, condition: Callable[[], Awaitable[bool]]) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(counting.run)
        await until(condition)
        nursery.cancel_scope.cancel()


async def test_the_actor_survives_that_postgresql_is_away(
    db: Db, store: JobStore, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photochanger.stats.rollup.EVERY", 0.02)
    monkeypatch.setattr("photochanger.stats.rollup.SETTLED", 0.02)
    await write(store, [change for life in lives(13, 5) for change in life])
    db.disconnect("away for this test")
    counting = rollup(db)
    counting.refusals.add("slot-001", "invalid_credentials")

    async def counted() -> bool:
        return bool(await db.fetchval("SELECT count(*) FROM stats_slot"))

    async with trio.open_nursery() as nursery:
        await nursery.start(counting.run)
        await until(lambda: bool(counting._uptime.unwritten()[0]))  # it has tried
        await db.connect(Target.of(postgres_url))
        await until(counted)
        nursery.cancel_scope.cancel()
    await assert_exact(db)
    assert await db.fetchval("SELECT sum(n)::int FROM stats_tally WHERE subject = 'refusal' AND slot_id <> ''") == 1


async def refusals(db: Db) -> dict[tuple[str, str, str], int]:
    rows = await db.fetch("SELECT slot_id, span, name, n FROM stats_tally WHERE subject = 'refusal'")
    return {(row["slot_id"], row["span"], row["name"]): row["n"] for row in rows}


async def test_refusals_are_counted_for_their_slot_and_the_house(db: Db) -> None:
    counting = rollup(db)
    for slot, reason, times in (("slot-001", "invalid_credentials", 3), ("unknown", "slot_not_found", 2)):
        for _ in range(times):
            counting.refusals.add(slot, reason)
    await counting.flush()
    await counting.flush()
    assert await refusals(db) == {
        ("slot-001", "day", "invalid_credentials"): 3,
        ("unknown", "day", "slot_not_found"): 2,
        **{("", span, "invalid_credentials"): 3 for span in ("day", "hour")},
        **{("", span, "slot_not_found"): 2 for span in ("day", "hour")},
    }


async def test_refusals_whose_writing_may_have_happened_are_counted_once(db: Db, postgres_url: str) -> None:
    """The answer is lost, not the write: the same batch comes again, under the same id."""
    counting = rollup(db)
    counting.refusals.add("slot-001", "slot_busy")
    batch = counting.refusals.batch()
    assert batch is not None
    await counting.flush()
    counting.refusals._batch = batch
    counting.refusals.add("slot-001", "slot_busy")
    await counting.flush()
    assert (await refusals(db))[("slot-001", "day", "slot_busy")] == 2


async def test_refusals_wait_in_memory_for_postgresql_and_are_written_at_the_stop(db: Db, postgres_url: str) -> None:
    counting = rollup(db)
    async with trio.open_nursery() as nursery:
        await nursery.start(counting.run)
        await trio.testing.wait_all_tasks_blocked(0.05)
        db.disconnect("away for this test")
        counting.refusals.add("slot-002", "draining")
        with pytest.raises(DatabaseUnavailable):
            await counting.flush()
        await db.connect(Target.of(postgres_url))
        nursery.cancel_scope.cancel()
    assert (await refusals(db))[("slot-002", "day", "draining")] == 1
    await at_rest(db)


async def test_minutes_are_put_together_by_whoever_saw_them(db: Db) -> None:
    for start in (0, 1, 30):
        moment = LATER + timedelta(minutes=start, seconds=59)
        counting = rollup(db, now=partial(_same, moment))
        await counting.once()
        await counting.once()
    row = await db.fetchrow("SELECT * FROM uptime_hour")
    assert row is not None
    assert (row["at"], row["minutes"]) == (LATER, 1 | 1 << 1 | 1 << 30)


def _same(moment: datetime) -> datetime:
    return moment


async def test_a_house_that_is_not_ready_is_not_seen(db: Db) -> None:
    await Rollup(db, ready=lambda: False, now=lambda: LATER).once()
    assert await db.fetchval("SELECT count(*) FROM uptime_hour") == 0


async def test_hours_are_forgotten_days_are_kept(db: Db, store: JobStore) -> None:
    await write(store, [change for life in lives(14, 5) for change in life])
    await rollup(db).catch_up()
    counting = rollup(db, now=lambda: LATER + timedelta(days=36))
    counting.refusals.add("slot-001", "slot_busy")
    await counting.flush()
    await counting.forget()
    for table in ("stats_slot", "stats_provider", "stats_tally"):
        spans = await db.fetch(f"SELECT span, count(*) FROM {table} WHERE at < $1 GROUP BY span", LATER)
        assert [row["span"] for row in spans] == ["day"], table
    assert (await refusals(db))[("", "hour", "slot_busy")] == 1
