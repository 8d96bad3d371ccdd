"""Writing rows: forward only, twice without harm, and through the journal when PostgreSQL does not answer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
import trio
import trio.testing

from photochanger.db.facade import Db
from photochanger.db.target import Target
from photochanger.domain.job import JobStatus, ReplyKind
from photochanger.domain.outcome import AttemptOutcome, Usage, Verdict
from photochanger.domain.reasons import Reason
from photochanger.domain.records import AttemptRow, Change, JobRow, MediaRow, ResultRow
from photochanger.errors import DatabaseUnavailable
from photochanger.jobs.journal import Journal
from photochanger.jobs.store import JobStore
from tests.lab.waiting import until

NOW = datetime(2026, 11, 20, 18, 30, 0, 123456, tzinfo=UTC)


def job_row(**changes: object) -> JobRow:
    row = JobRow(
        id=uuid4(),
        slot_id="slot-001",
        slot_version=1,
        provider="gemini",
        deadline=NOW + timedelta(seconds=48),
        settle_by=NOW + timedelta(seconds=48),
        request_bytes=12,
        request_sha256=b"\x00\xff" * 16,
        photo_name="Снимок 'one'.JPG",
        created_at=NOW,
        client_fields={"user_id": "Фотограф", "odd": '"\\'},
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def attempt_row(job: JobRow) -> AttemptRow:
    return AttemptRow(uuid4(), job.id, 1, "gemini", "gemini-3.1-flash-image", NOW, estimate_microusd=67_000)


def finished(job: JobRow, attempt: AttemptRow) -> Change:
    outcome = AttemptOutcome(Verdict.PICTURE, usage=Usage(prompt=1, total=2), cost_microusd=70_000, response_id="r")
    done = replace(
        job, status=JobStatus.DONE, reply_kind=ReplyKind.AI, reply_status=200, finished_at=NOW, cost_microusd=70_000
    )
    result = ResultRow(
        uuid4(), job.id, attempt.id, "image/jpeg", b"\x01" * 32, 1200, 896, "results/a.jpg", NOW, NOW, 99
    )
    media = MediaRow(uuid4(), job.id, job.slot_id, "result", "results/a.jpg", NOW, NOW)
    return Change(done, (attempt.ended(outcome, NOW, 1.5),), result, (media,))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def store(db: Db, journal: Journal) -> JobStore:
    return JobStore(db, journal)


async def test_every_column_arrives_as_it_was_given(db: Db, store: JobStore) -> None:
    job = job_row()
    attempt = attempt_row(job)
    change = finished(job, attempt)
    await store.save(change)
    row = await db.fetchrow("SELECT * FROM job WHERE id = $1", job.id)
    assert row is not None
    for name in JobRow.__slots__:
        assert row[name] == getattr(change.job, name), name
    stored = await db.fetchrow("SELECT * FROM attempt WHERE id = $1", attempt.id)
    assert stored is not None
    for name in AttemptRow.__slots__:
        assert stored[name] == getattr(change.attempts[0], name), name
    result = await db.fetchrow("SELECT * FROM result WHERE job_id = $1", job.id)
    assert result is not None
    for name in ResultRow.__slots__:
        assert result[name] == getattr(change.result, name), name
    assert await db.fetchval("SELECT count(*) FROM media_object") == 1


async def test_a_job_only_moves_forward(db: Db, store: JobStore) -> None:
    job = job_row()
    attempt = attempt_row(job)
    begun = Change(replace(job, status=JobStatus.PROCESSING, started_at=NOW), (attempt,))
    done = finished(job, attempt)
    failed = Change(replace(job, status=JobStatus.FAILED, failure_reason=Reason.PROVIDER_ERROR))
    for change in (Change(job), begun, Change(job), done, failed, begun, Change(job), done):
        await store.save(change)
    row = await db.fetchrow("SELECT status, failure_reason, cost_microusd FROM job")
    assert row is not None
    assert tuple(row) == ("done", None, 70_000)
    assert await db.fetchval("SELECT outcome FROM attempt") == "picture"
    assert await db.fetchval("SELECT count(*) FROM result") == 1


async def test_what_the_booth_got_can_be_corrected_afterwards(db: Db, store: JobStore) -> None:
    job = job_row()
    done = finished(job, attempt_row(job))
    await store.save(done)
    await store.save(Change(replace(done.job, reply_kind=ReplyKind.ERROR, reply_status=504, late=True)))
    row = await db.fetchrow("SELECT status, reply_kind, reply_status, late FROM job")
    assert row is not None
    assert tuple(row) == ("done", "error", 504, True)


async def test_without_a_database_the_journal_takes_everything_and_gives_it_back(
    db: Db, store: JobStore, journal: Journal, postgres_url: str
) -> None:
    db.disconnect("gone for this test")
    job = job_row()
    attempt = attempt_row(job)
    for change in (Change(job), Change(replace(job, status=JobStatus.PROCESSING), (attempt,)), finished(job, attempt)):
        await store.save(change)
    assert len(await journal.entries()) == 3
    await db.connect(Target.of(postgres_url))
    assert await store.replay() == 3
    assert await journal.entries() == []
    assert await db.fetchval("SELECT status FROM job") == "done"
    await store.save(finished(job_row(), attempt_row(job)))
    assert await journal.entries() == []


async def test_entries_replayed_in_any_order_end_the_same(db: Db, store: JobStore, journal: Journal) -> None:
    job = job_row()
    attempt = attempt_row(job)
    changes = (Change(job), Change(replace(job, status=JobStatus.PROCESSING), (attempt,)), finished(job, attempt))
    for change in reversed(changes):
        await journal.append(msgspec.json.encode(change.as_params()))
    assert await store.replay() == 3
    assert await db.fetchval("SELECT status FROM job") == "done"
    assert await db.fetchval("SELECT outcome FROM attempt") == "picture"


async def test_an_entry_that_can_never_be_written_does_not_hold_up_the_others(
    db: Db, store: JobStore, journal: Journal, tmp_path: Path
) -> None:
    await journal.append(b"not json")
    await store.replay()
    await journal.append(msgspec.json.encode(Change(job_row(slot_id="no-such-slot")).as_params()))
    await journal.append(msgspec.json.encode(Change(job_row()).as_params()))
    assert await store.replay() == 1
    assert await db.fetchval("SELECT count(*) FROM job") == 1
    assert len(list((tmp_path / "journal" / "rejected").iterdir())) == 2


async def test_a_newer_change_never_passes_an_older_one_in_the_journal(
    db: Db, store: JobStore, journal: Journal, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_row()
    done = finished(job, attempt_row(job))
    entries = journal.entries
    coming = {True: 201, False: 202}

    async def entries_before_another_comes() -> list[Path]:
        found = await entries()
        if status := coming.pop(bool(found), None):  # once with others in the journal, once when it was empty
            await store.save(Change(replace(done.job, reply_status=status)))
        return found

    db.disconnect("gone for this test")
    await store.save(done)
    await db.connect(Target.of(postgres_url))
    monkeypatch.setattr(journal, "entries", entries_before_another_comes)
    assert await store.replay() == 2
    assert not coming
    await store.save(Change(replace(done.job, reply_status=504)))
    assert await store.replay() == 2
    assert await db.fetchval("SELECT reply_status FROM job") == 504


async def test_nor_one_that_is_still_on_its_way_there(
    db: Db, store: JobStore, journal: Journal, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, gate = journal.append, trio.Event()

    async def slow_disk(data: bytes) -> None:
        await gate.wait()
        await append(data)

    monkeypatch.setattr(journal, "append", slow_disk)
    db.disconnect("gone for this test")
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(store.save, Change(job_row()))
            await trio.testing.wait_all_tasks_blocked()
            if not db.state.available:
                await db.connect(Target.of(postgres_url))
            assert await store.replay() == 0
        gate.set()
    assert len(await journal.entries()) == 2  # also the second, though PostgreSQL was there by then
    assert await store.replay() == 2


async def test_what_passes_rejects_no_entry(db: Db, store: JobStore, journal: Journal, postgres_url: str) -> None:
    await journal.append(msgspec.json.encode(Change(job_row()).as_params()))
    database = await db.fetchval("SELECT current_database()")
    await db.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    db.disconnect("connect anew")
    await db.connect(Target.of(postgres_url))
    with pytest.raises(DatabaseUnavailable):
        await store.replay()
    assert len(await journal.entries()) == 1
    async with db.transaction() as transaction:
        await transaction.execute("SET TRANSACTION READ WRITE")
        await transaction.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
    db.disconnect("connect anew")
    await db.connect(Target.of(postgres_url))
    assert await store.replay() == 1
    assert await db.fetchval("SELECT count(*) FROM job") == 1


async def test_a_slow_database_costs_one_photo_its_patience_and_the_next_ones_nothing(db: Db, journal: Journal) -> None:
    store = JobStore(db, journal, patience=0.3)
    async with db.transaction() as blocker:
        await blocker.execute("LOCK TABLE job IN ACCESS EXCLUSIVE MODE")
        started = trio.current_time()
        for _ in range(5):
            await store.save(Change(job_row()))
        # Generous: five waits of 0.3 s would be 1.5 s.
        assert trio.current_time() - started < 1.2
        assert len(await journal.entries()) == 5
    assert await store.replay() == 5
    assert await db.fetchval("SELECT count(*) FROM job") == 5


async def test_the_child_replays_what_was_left_and_what_comes(db: Db, store: JobStore, journal: Journal) -> None:
    await journal.append(msgspec.json.encode(Change(job_row()).as_params()))
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        assert await db.fetchval("SELECT count(*) FROM job") == 1
        await journal.append(msgspec.json.encode(Change(job_row()).as_params()))
        await until(lambda: not journal.depth)
        assert await db.fetchval("SELECT count(*) FROM job") == 2
        nursery.cancel_scope.cancel()


async def test_the_child_has_started_only_when_nothing_is_left_from_before(
    db: Db, store: JobStore, journal: Journal, postgres_url: str
) -> None:
    await journal.append(msgspec.json.encode(Change(job_row()).as_params()))
    db.disconnect("not there yet")
    started = False

    async def start(nursery: trio.Nursery) -> None:
        nonlocal started
        await nursery.start(store.run)
        started = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(start, nursery)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert not started
        await db.connect(Target.of(postgres_url))
        await until(lambda: started)
        assert await db.fetchval("SELECT count(*) FROM job") == 1
        nursery.cancel_scope.cancel()
