"""The way of one request: access, upload, admission, and the wait for the reply."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import trio
from quart import Request, Response

from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.domain.window import Window
from photochanger.errors import PictureError, Refusal
from photochanger.ingest.access import PasswordCheck
from photochanger.ingest.form import Form, kept_fields
from photochanger.ingest.reply import respond
from photochanger.ingest.upload import FORM_OVERHEAD, receive
from photochanger.jobs.job import Job, Upload
from photochanger.jobs.lanes import Lanes
from photochanger.jobs.reply import Reply
from photochanger.jobs.workshop import Workshop
from photochanger.media.probe import probe
from photochanger.media.spool import SpoolFile
from photochanger.web.app import started_at


@dataclass(slots=True)
class Ingest:
    """What the booth's route works with."""

    find_slot: Callable[[str], Slot | None]
    lanes: Lanes
    workshop: Workshop
    upload_timeout: float
    reserve: float
    draining: Callable[[], bool]
    passwords: PasswordCheck = field(default_factory=PasswordCheck)
    threads: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(8))

    async def handle(self, slot_id: str, request: Request) -> Response:
        """Answer one photo. Raises Refusal where there is no picture; the job's id is then its attribute."""
        started = started_at(request)
        with self.workshop.metrics.ingest(slot_id) as seen:
            slot = self._open_slot(slot_id)
            seen.slot_known()
            window = Window.of(started, slot.t_sync, self.reserve)
            job_id = uuid4()
            job = await self._receive(job_id, slot, window, request)
            reply = await self._wait(job)
            return await respond(reply, job_id, request)

    def _open_slot(self, slot_id: str) -> Slot:
        """The cheap refusals, before any byte of the photo is read."""
        if self.draining():
            raise Refusal(Reason.DRAINING, retry_after=5)
        slot = self.find_slot(slot_id)
        if slot is None:
            raise Refusal(Reason.SLOT_NOT_FOUND)
        if not slot.is_active:
            raise Refusal(Reason.SLOT_DISABLED)
        return slot

    async def _receive(self, job_id: UUID, slot: Slot, window: Window, request: Request) -> Job:
        """Spool the photo and hand it over. Until `submit` the temp folder is ours; after it, the job's."""
        if (request.content_length or 0) > slot.size_limit_bytes + FORM_OVERHEAD:
            raise Refusal(Reason.PAYLOAD_TOO_LARGE)
        media = self.workshop.media
        folder = await media.temp_folder(slot.id, str(job_id))
        try:
            upload = await self._spool(folder, slot, window, request)
            job = Job(self.workshop, job_id, slot, upload, window)
            # From here to the return there is no checkpoint: either the job owns everything, or nothing of it.
            job.cell.join()
            self.lanes.submit(job, window.deadline)
        except BaseException:
            await media.remove_temp(slot.id, str(job_id))  # shields itself
            raise
        return job

    async def _spool(self, folder: Path, slot: Slot, window: Window, request: Request) -> Upload:
        """Receive the photo into `folder`, check the password as soon as it is there, look at the picture."""
        path = folder / "payload"
        spool = await trio.to_thread.run_sync(SpoolFile, path, limiter=self.threads)
        try:
            form = Form(request.headers.get("Content-Type", ""), spool, max_photo=slot.size_limit_bytes)
            allowed = False

            async def check_password() -> None:
                nonlocal allowed
                if not allowed and form.password is not None:
                    allowed = await self.passwords.allows(slot, form.password)
                    if not allowed:
                        raise Refusal(Reason.INVALID_CREDENTIALS)

            with self.workshop.metrics.stage("receive"):
                await receive(
                    request.body,
                    form,
                    deadline=min(window.deadline - window.reserve, window.started + self.upload_timeout),
                    threads=self.threads,
                    on_fields=check_password,
                )
            if not allowed:
                raise Refusal(Reason.INVALID_CREDENTIALS)
        finally:
            spool.close()
        try:
            with self.workshop.metrics.stage("probe"):
                found = await trio.to_thread.run_sync(
                    partial(probe, path, max_pixels=self.workshop.max_pixels), limiter=self.threads
                )
        except PictureError as error:
            raise Refusal(error.reason, error.detail) from error
        return Upload(
            path, folder, spool.size, bytes.fromhex(spool.sha256), form.photo_name, kept_fields(form.fields), found
        )

    async def _wait(self, job: Job) -> Reply:
        got: Reply | None = None
        try:
            got = await job.cell.wait(job.window.deadline)
        finally:
            job.cell.leave(got)
        return got
