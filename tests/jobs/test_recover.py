"""What a crash left: every call is booked, whatever had become of its job, and what can be resumed is left alone."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import trio

from photochanger.db.facade import Db
from photochanger.domain.job import JobStatus, ReplyKind
from photochanger.domain.outcome import AttemptOutcome, Picture, Verdict
from photochanger.domain.records import AttemptRow, Change, JobRow
from photochanger.domain.slot import Slot
from photochanger.jobs.recover import recover
from photochanger.jobs.resume import Resumption
from photochanger.jobs.workshop import Workshop
from photochanger.providers.base import Call
from photochanger.providers.group import ProviderGroup
from tests.jobs.workbench import PRICE, SaidDriver, giving, workshop_in
from tests.lab.pictures import photo

SLOT = Slot("slot-001", 1, "said", "edit")
SOON = timedelta(seconds=60)


class Follower(SaidDriver):
    """A driver whose calls have handles; a handle that begins with "ok" has its picture."""

    async def resume(self, call: Call, handle: str) -> AttemptOutcome:
        """What came of it."""
        if not handle.startswith("ok"):
            return AttemptOutcome(Verdict.NO_IMAGE, possibly_billed=True, again=0)
        await trio.Path(call.out_path).write_bytes(photo(80, 60))
        return AttemptOutcome(Verdict.PICTURE, picture=Picture(call.out_path, "image/jpeg"), cost_microusd=20_000)


@pytest.fixture
async def workshop(db: Db, tmp_path: Path) -> Workshop:
    group = ProviderGroup(Follower(giving(AttemptOutcome(Verdict.NO_IMAGE)), name="said"), live=2, late=2)
    return workshop_in(tmp_path, group, db=db)


def job(status: JobStatus, *, settle_by: timedelta = SOON) -> JobRow:
    now = datetime.now(UTC)
    row = JobRow(
        id=uuid4(),
        slot_id=SLOT.id,
        slot_version=1,
        provider="said",
        deadline=now,
        settle_by=now + settle_by,
        request_bytes=1,
        request_sha256=bytes(32),
        photo_name=None,
        created_at=now - SOON,
        status=status,
    )
    return replace(row, finished_at=now) if status is JobStatus.DONE else row


def begun(row: JobRow, number: int = 1, handle: str | None = None) -> AttemptRow:
    at = datetime.now(UTC) - SOON / 2
    return AttemptRow(uuid4(), row.id, number, "said", "one", at, estimate_microusd=PRICE, handle=handle)


async def attempts(db: Db, job_id: UUID) -> list[tuple[object, ...]]:
    rows = await db.fetch(
        "SELECT outcome, possibly_billed, cost_microusd FROM attempt WHERE job_id = $1 ORDER BY number", job_id
    )
    return [tuple(row) for row in rows]


async def test_a_loser_that_ran_on_when_its_job_was_settled_is_booked(db: Db, workshop: Workshop) -> None:
    row = job(JobStatus.DONE)
    won = begun(row).ended(AttemptOutcome(Verdict.PICTURE, cost_microusd=5), datetime.now(UTC), 1.0)
    await workshop.store.save(Change(row, (won, begun(row, 2))))
    assert await recover(db, workshop, before=datetime.now(UTC)) == []
    assert await attempts(db, row.id) == [("picture", False, 5), ("timeout", True, PRICE)]
    told = await db.fetchrow("SELECT status, cost_microusd FROM job WHERE id = $1", row.id)
    assert told is not None
    assert tuple(told) == ("done", PRICE + 5)


async def test_what_begins_now_is_not_booked(db: Db, workshop: Workshop) -> None:
    row = job(JobStatus.DONE)
    await workshop.store.save(Change(row, (begun(row),)))
    await recover(db, workshop, before=datetime.now(UTC) - SOON)
    assert await attempts(db, row.id) == [(None, False, 0)]


async def test_two_handles_of_one_job_are_both_followed(db: Db, workshop: Workshop) -> None:
    row = job(JobStatus.PROCESSING)
    await workshop.store.save(Change(row, (begun(row, 1, "failed"), begun(row, 2, "ok"))))
    left = await recover(db, workshop, before=datetime.now(UTC))
    assert len(left) == 2
    resumption = Resumption(db, workshop, lambda _slot_id: SLOT)
    resumption.left = left
    async with trio.open_nursery() as nursery:
        nursery.start_soon(workshop.groups["said"].run)
        with trio.fail_after(20):
            await resumption.run()
        nursery.cancel_scope.cancel()
    assert await attempts(db, row.id) == [("no_image", True, PRICE), ("picture", False, 20_000)]
    told = await db.fetchrow(
        "SELECT status, late, cost_microusd, path FROM job JOIN result ON job_id = job.id WHERE job.id = $1", row.id
    )
    assert told is not None
    assert tuple(told)[:3] == ("done", True, PRICE + 20_000)
    assert workshop.media.locate(told["path"]).is_file()


async def test_whose_time_is_over_is_not_followed(db: Db, workshop: Workshop) -> None:
    row = job(JobStatus.PROCESSING, settle_by=-SOON)
    await workshop.store.save(Change(row, (begun(row, 1, "ok"),)))
    assert await recover(db, workshop, before=datetime.now(UTC)) == []
    assert await attempts(db, row.id) == [("timeout", True, PRICE)]


async def test_a_temp_folder_that_will_not_go_keeps_nobody_from_beginning(
    db: Db, workshop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stuck, strange, goes = [workshop.media.temp_path(SLOT.id, name) for name in ("a-stuck", "strange", "z-goes")]
    strange = strange.with_name("no name of ours")
    rmtree = shutil.rmtree

    def removing(folder: Path) -> None:
        if folder == stuck:
            raise PermissionError(13, "no")
        rmtree(folder)

    for folder in (stuck, strange, goes):
        folder.mkdir(parents=True)
    monkeypatch.setattr(shutil, "rmtree", removing)
    assert await recover(db, workshop, before=datetime.now(UTC)) == []
    assert (stuck.exists(), strange.exists(), goes.exists()) == (True, True, False)
    assert caplog.text.count("is left behind") == 2


async def test_what_a_booth_was_told_before_the_crash_is_kept(db: Db, workshop: Workshop) -> None:
    told = replace(
        job(JobStatus.PROCESSING),
        reply_kind=ReplyKind.ERROR,
        reply_status=504,
        replied_at=datetime.now(UTC),
        told_504=True,
    )
    untold = job(JobStatus.PROCESSING)
    for row in (told, untold):
        await workshop.store.save(Change(row))
    await recover(db, workshop, before=datetime.now(UTC))
    for row, kind, status in ((told, "error", 504), (untold, "none", None)):
        found = await db.fetchrow("SELECT * FROM job WHERE id = $1", row.id)
        assert found is not None
        assert (found["status"], found["reply_kind"], found["reply_status"]) == ("timeout", kind, status)
        assert found["told_504"] is row.told_504
