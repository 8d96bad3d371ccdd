"""The rows in memory keep to the rules of the statement that they stand for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from photochanger.db.facade import Db
from photochanger.domain.job import JobStatus, ReplyKind
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.reasons import Reason
from photochanger.domain.records import AttemptRow, Change, JobRow, MediaRow, ResultRow
from photochanger.jobs.journal import Journal
from photochanger.jobs.store import JobStore
from tests.lab.virtual.rows import RecordingStore

NOW = datetime(2026, 11, 20, 18, 30, 0, 123456, tzinfo=UTC)
JOBS = 6
CHANGES = 150


async def test_whatever_is_written_both_end_up_the_same(db: Db, tmp_path: Path) -> None:
    random = Random(7)
    real, lab = JobStore(db, Journal(tmp_path / "journal"), patience=30.0), RecordingStore()
    for _ in range(CHANGES):
        change = any_change(random)
        await real.save(change)
        lab.write(change)
    await same(db, "job", JobRow, lab.jobs)
    await same(db, "attempt", AttemptRow, lab.attempts)
    await same(db, "result", ResultRow, {row.id: row for row in lab.results.values()})
    await same(db, "media_object", MediaRow, lab.media)
    assert len({row.status for row in lab.jobs.values()}) > 1  # the draw was worth something


async def same(db: Db, table: str, kind: type, rows: dict[UUID, Any]) -> None:
    """All rows of `table` are those of `rows`, column by column."""
    stored = {row["id"]: row for row in await db.fetch(f"SELECT * FROM {table}")}
    assert stored.keys() == rows.keys()
    for row_id, row in rows.items():
        for name in kind.__slots__:  # type: ignore[attr-defined]
            assert stored[row_id][name] == getattr(row, name), (table, name)


def any_change(random: Random) -> Change:
    """A change of one of a few jobs, in any state, written in any order."""
    number = random.randrange(JOBS)
    job = JobRow(
        id=UUID(int=number + 1),
        slot_id="slot-001",
        slot_version=1,
        provider=random.choice(["gemini", "turbotext"]),
        deadline=NOW + timedelta(seconds=48),
        settle_by=NOW + timedelta(seconds=random.choice([48, 168])),
        request_bytes=12,
        request_sha256=b"\x00" * 32,
        photo_name=None,
        created_at=NOW,
        status=random.choice(list(JobStatus)),
        failure_reason=random.choice([None, Reason.PROVIDER_ERROR]),
        reply_kind=random.choice([None, *ReplyKind]),
        reply_status=random.choice([None, 200, 504]),
        retries=random.randrange(3),
        late=random.random() < 0.5,
        cost_microusd=random.randrange(100_000),
        joined=random.randrange(3),
        finished_at=random.choice([None, NOW]),
    )
    attempts = tuple(any_attempt(random, job, each) for each in range(random.randrange(3)))
    result = ResultRow(
        UUID(int=random.getrandbits(100)), job.id, None, "image/jpeg", b"\x01" * 32, 4, 3, "results/a", NOW, NOW, 9
    )
    media = MediaRow(UUID(int=number + 1), job.id, job.slot_id, "result", f"a{random.random()}", NOW, NOW)
    with_result = random.random() < 0.4
    return Change(job, attempts, result if with_result else None, (media,) if with_result else ())


def any_attempt(random: Random, job: JobRow, number: int) -> AttemptRow:
    """Begun or ended in some way."""
    begun = AttemptRow(
        UUID(int=100 * job.id.int + number), job.id, number, "gemini", "m", NOW, estimate_microusd=67_000
    )
    verdict = random.choice([None, *Verdict])
    if verdict is None:
        return replace(begun, handle=random.choice([None, "h"]))
    outcome = AttemptOutcome(verdict, cost_microusd=random.randrange(99), possibly_billed=random.random() < 0.5)
    return begun.ended(outcome, NOW, random.random())
