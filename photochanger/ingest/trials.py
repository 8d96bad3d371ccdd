"""Trying a slot: a photo sent by an administrator, and a kept one worked on again. The real path, and no booth.

Their jobs take the same lanes, permits, rates and money as those of booths, after these; they join no others and are
not joined.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID, uuid4

import trio
from quart import Request

from photochanger.db.facade import Db
from photochanger.domain.job import JobStatus, Source
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.domain.window import Window
from photochanger.errors import PictureError, Problem, Refusal, StorageUnavailable
from photochanger.ingest.admission import Admission
from photochanger.ingest.overrides import SlotOverrides, overridden
from photochanger.ingest.trial_views import VARIANTS, RerunView, TestRunView, VariantView
from photochanger.ingest.upload import FORM_OVERHEAD, Reception, receive
from photochanger.jobs.job import Job
from photochanger.jobs.origin import Origin
from photochanger.jobs.originals import Original, find_original
from photochanger.jobs.reply import ErrorReply, PictureReply, Reply, Waiter
from photochanger.jobs.told import attempt_view, picture_url
from photochanger.jobs.upload import Upload
from photochanger.jobs.workshop import Workshop
from photochanger.media.probe import probe
from photochanger.media.room import Room
from photochanger.slots.change import Check
from photochanger.web.app import started_at
from photochanger.web.inputs import parse_json
from photochanger.web.problems import field_errors

log = logging.getLogger(__name__)

Record = Callable[..., Awaitable[None]]
"""Writes down who did what."""


@dataclass(slots=True)
class _Variant:
    """One way in which the photo is tried, on its way to its answer."""

    number: int
    slot: Slot
    warnings: Sequence[Problem]
    job_id: UUID = field(default_factory=uuid4)
    job: Job | None = None
    refusal: Refusal | None = None
    reply: Reply | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Trials:
    """What test runs and re-runs work with. `check` tells what is wrong with a slot; `record` is the audit."""

    db: Db
    find_slot: Callable[[str], Slot | None]
    admission: Admission
    workshop: Workshop
    room: Room
    check: Check
    record: Record
    upload_timeout: float
    reserve: float
    draining: Callable[[], bool]
    threads: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(2))

    async def test_run(self, slot_id: str, request: Request, by: str) -> TestRunView:
        """One photo through the slot, as it is or as the variants say, as many at once as the slot has permits.

        All are answered together.

        Raises Refusal, StorageUnavailable; where no variant found room, as the first of them was refused.
        """
        slot = self._slot(slot_id, Reason.SLOT_NOT_FOUND)
        if (request.content_length or 0) > slot.size_limit_bytes + FORM_OVERHEAD:
            raise Refusal(Reason.PAYLOAD_TOO_LARGE)
        await self.room.require(request.content_length or slot.size_limit_bytes)
        started, test_id = started_at(request), uuid4()
        try:
            upload, asked = await self._receive(slot, request, started, test_id)
            variants = [
                _Variant(number, *overridden(slot, each, self.check, f"variants[{number}]"))
                for number, each in enumerate(asked)
            ]
            await self.record("slot.test_run", actor=by, subject=slot.id, detail={"test_id": str(test_id)})
            await self._try_all(variants, upload, started, test_id, by)
        finally:
            await self._forget(slot.id, test_id)
        return TestRunView(test_id, slot.id, slot.version, [_view(variant) for variant in variants])

    async def rerun(self, job_id: UUID, request: Request, overrides: SlotOverrides, by: str) -> RerunView:
        """The kept photo of a job once more, as a new job for whose end nobody waits here.

        Raises Refusal: `not_possible_now` when the photo or the slot has gone.
        """
        original = await find_original(self.db, job_id)
        if original is None:
            raise Refusal(Reason.NOT_FOUND)
        slot, warnings = overridden(
            self._slot(original.slot_id, Reason.NOT_POSSIBLE_NOW), overrides, self.check, "overrides"
        )
        new_id, is_ours = uuid4(), True
        try:
            upload = await self._borrow(original, slot, new_id)
            detail = {"job_id": str(new_id)}
            await self.record("job.rerun", actor=by, subject=str(original.job_id), detail=detail)
            origin = Origin(Source.RERUN, requested_by=by, rerun_of=original.job_id)
            job = Job(self.workshop, new_id, slot, upload, self._window(slot, started_at(request)), origin=origin)
            job.wait_by_itself()
            self.admission.submit(job)
            is_ours = False
        finally:
            if is_ours:
                await self._forget(slot.id, new_id)
        return RerunView(
            job_id=new_id,
            rerun_of=original.job_id,
            slot_id=slot.id,
            slot_version=slot.version,
            job_url=f"/api/jobs/{new_id}",
            url=picture_url(new_id),
            warnings=field_errors(warnings),
        )

    def _slot(self, slot_id: str, otherwise: Reason) -> Slot:
        """The slot, active or not: trying is for those that are not in use yet."""
        if self.draining():
            raise Refusal(Reason.DRAINING, retry_after=5)
        slot = self.find_slot(slot_id)
        if slot is None:
            raise Refusal(otherwise, "" if otherwise is Reason.SLOT_NOT_FOUND else "Its slot is there no more.")
        return slot

    def _window(self, slot: Slot, started: float) -> Window:
        return Window.of(started, slot.t_sync, self.reserve, 0.0 if slot.on_timeout == "drop" else slot.t_late)

    async def _receive(
        self, slot: Slot, request: Request, started: float, test_id: UUID
    ) -> tuple[Upload, list[SlotOverrides]]:
        """The photo, in a temp folder of the test's own, and what is to be tried with it."""
        reception = Reception(
            request.headers.get("Content-Type", ""),
            self.workshop.media.temp_path(slot.id, str(test_id)),
            max_photo=slot.size_limit_bytes,
            max_pixels=self.workshop.max_pixels,
        )
        window = self._window(slot, started)
        try:
            with self.workshop.activity.working():
                upload = await receive(
                    request.body,
                    reception,
                    deadline=min(window.deadline - window.reserve, started + self.upload_timeout),
                    threads=self.threads,
                    authorize=_nobody_asks,
                )
        finally:
            reception.close()
        text = reception.fields.get("variants")
        asked = [SlotOverrides()] if text is None else parse_json(text.encode(), VARIANTS, "variants")
        return replace(upload, fields={}), asked

    async def _try_all(
        self, variants: Sequence[_Variant], upload: Upload, started: float, test_id: UUID, by: str
    ) -> None:
        """Hand all of them over, then wait for all answers. Each job owns a folder with the photo in it."""
        try:
            uploads = [await self._lend(variant, upload) for variant in variants]
            async with trio.open_nursery() as waiting:
                for variant, lent in zip(variants, uploads, strict=True):  # no checkpoint in here
                    origin = Origin(Source.UI_TEST, requested_by=by, test_id=test_id, variant=variant.number)
                    window = self._window(variant.slot, started)
                    job = Job(self.workshop, variant.job_id, variant.slot, lent, window, origin=origin)
                    waiter = job.cell.join(window.deadline)
                    try:
                        self.admission.submit(job)
                    except Refusal as refusal:
                        variant.refusal = refusal
                    else:
                        variant.job = job
                        waiting.start_soon(_wait, variant, job, waiter)
            refusals = [variant.refusal for variant in variants if variant.refusal is not None]
            if len(refusals) == len(variants):
                raise refusals[0]
        finally:
            for variant in variants:
                if variant.job is None:
                    await self._forget(variant.slot.id, variant.job_id)

    async def _lend(self, variant: _Variant, upload: Upload) -> Upload:
        folder = self.workshop.media.temp_path(variant.slot.id, str(variant.job_id))
        path = await self.workshop.media.lend(upload.path, folder)
        if path is None:
            raise StorageUnavailable("the photo of a test has gone from its temp folder")
        return replace(upload, path=path, folder=folder)

    async def _borrow(self, original: Original, slot: Slot, new_id: UUID) -> Upload:
        """The kept photo under a name of the new job's own: whatever removes the original takes nothing from it."""
        gone = Refusal(Reason.NOT_POSSIBLE_NOW, "Its photo is kept no more.")
        coming = Refusal(Reason.NOT_POSSIBLE_NOW, "Its photo is not kept yet: try again.")
        if original.path is None:
            raise coming if original.at_work and self.workshop.original_ttl else gone
        media = self.workshop.media
        folder = media.temp_path(slot.id, str(new_id))
        path = await media.lend(media.locate(original.path), folder)
        if path is None:
            raise coming if original.young else gone
        try:
            look = lambda: _look(path, folder, original, self.workshop.max_pixels)  # noqa: E731
            upload = await trio.to_thread.run_sync(look, limiter=self.threads)
        except (PictureError, OSError) as error:
            log.error("the kept photo of job %s cannot be used: %s", original.job_id, error)
            raise gone from None
        await self.room.require(upload.size)
        return upload

    async def _forget(self, slot_id: str, folder: UUID) -> None:
        try:
            await self.workshop.media.remove_temp(slot_id, str(folder))  # shields itself
        except StorageUnavailable:
            log.exception("a temp folder of %s is left behind", slot_id)


async def _nobody_asks(_password: str | None) -> None:
    """The caller's account was looked at before; the form needs no password."""


def _look(path: Path, folder: Path, original: Original, max_pixels: int) -> Upload:
    """Blocks. Raises PictureError, OSError."""
    return Upload(
        path=path,
        folder=folder,
        size=path.stat().st_size,
        sha256=original.sha256,
        name=original.photo_name,
        fields={},
        probe=probe(path, max_pixels=max_pixels),
    )


async def _wait(variant: _Variant, job: Job, waiter: Waiter) -> None:
    variant.reply = await job.cell.attend(waiter)
    variant.seconds = trio.current_time() - job.window.started


def _view(variant: _Variant) -> VariantView:
    job, reply = variant.job, variant.reply
    picture = reply if isinstance(reply, PictureReply) else None
    row = None if job is None else job.row
    status = "refused" if row is None else row.status
    if picture is not None and not picture.stand_in and picture.data is None:
        status = JobStatus.DONE  # its row may be on its way still
    reason = row.failure_reason if row is not None else variant.refusal.reason if variant.refusal else None
    if isinstance(reply, ErrorReply):
        reason = reply.reason
    return VariantView(
        variant=variant.number,
        job_id=None if job is None else job.id,
        status=str(status),
        failure_reason=None if reason is None else str(reason),
        retry_after=variant.refusal.retry_after if variant.refusal else None,
        result_kind=None if reply is None else str(reply.kind),
        url=picture_url(variant.job_id) if status == JobStatus.DONE else None,
        mime=picture.mime if picture else None,
        bytes=picture.size if picture else None,
        width=picture.width if picture else None,
        height=picture.height if picture else None,
        latency_ms=None if reply is None else round(variant.seconds * 1000),
        cost_microusd=0 if row is None else row.cost_microusd,
        attempts=[] if job is None else [attempt_view(each) for each in job.attempt_rows],
        warnings=field_errors(variant.warnings),
    )
