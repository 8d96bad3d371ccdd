"""The way of one request: access, upload, admission, and the wait for the reply."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import trio
from quart import Request, Response

from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.domain.window import Window
from photochanger.errors import Refusal, StorageUnavailable
from photochanger.ingest.access import PasswordCheck
from photochanger.ingest.reply import respond
from photochanger.ingest.upload import FORM_OVERHEAD, Reception, receive
from photochanger.jobs.job import Job, Upload
from photochanger.jobs.lanes import Lanes
from photochanger.jobs.reply import Reply
from photochanger.jobs.workshop import Workshop
from photochanger.media.room import Room
from photochanger.observability.metrics import Seen
from photochanger.web.app import started_at

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Ingest:
    """What the booth's route works with."""

    find_slot: Callable[[str], Slot | None]
    lanes: Lanes
    workshop: Workshop
    room: Room
    upload_timeout: float
    reserve: float
    draining: Callable[[], bool]
    passwords: PasswordCheck = field(default_factory=PasswordCheck)
    threads: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(8))

    async def handle(self, slot_id: str, request: Request) -> Response:
        """Answer one photo. Raises Refusal where there is no picture; the job's id is then its attribute."""
        started = started_at(request)
        with self.workshop.metrics.ingest(slot_id) as seen:
            slot = self._open_slot(slot_id, seen)
            window = Window.of(started, slot.t_sync, self.reserve)
            job_id = uuid4()
            job = await self._receive(job_id, slot, window, request)
            reply = await self._wait(job)
            return await respond(reply, job_id, request)

    def _open_slot(self, slot_id: str, seen: Seen) -> Slot:
        """The cheap refusals, before any byte of the photo is read."""
        slot = self.find_slot(slot_id)
        if slot is not None:
            seen.slot_known()
        if self.draining():
            raise Refusal(Reason.DRAINING, retry_after=5)
        if slot is None:
            raise Refusal(Reason.SLOT_NOT_FOUND)
        if not slot.is_active:
            raise Refusal(Reason.SLOT_DISABLED)
        return slot

    async def _receive(self, job_id: UUID, slot: Slot, window: Window, request: Request) -> Job:
        """Spool the photo and hand it over. Until `submit` the temp folder is ours; after it, the job's."""
        if (request.content_length or 0) > slot.size_limit_bytes + FORM_OVERHEAD:
            raise Refusal(Reason.PAYLOAD_TOO_LARGE)
        await self.room.require(request.content_length or slot.size_limit_bytes)
        media = self.workshop.media
        folder = media.temp_path(slot.id, str(job_id))
        try:
            upload = await self._spool(folder, slot, window, request)
            job = Job(self.workshop, job_id, slot, upload, window)
            # From here to the return there is no checkpoint: either the job owns everything, or nothing of it.
            job.cell.join()
            self.lanes.submit(job, window.deadline)
        except BaseException:
            try:
                await media.remove_temp(slot.id, str(job_id))  # shields itself
            except StorageUnavailable:
                # What the booth is told is why it gets no picture; the folder is swept at the next start.
                log.exception("a temp folder of %s is left behind", slot.id)
            raise
        return job

    async def _spool(self, folder: Path, slot: Slot, window: Window, request: Request) -> Upload:
        """Receive the photo into `folder`; the password is checked as soon as it is there."""
        reception = Reception(
            request.headers.get("Content-Type", ""),
            folder,
            max_photo=slot.size_limit_bytes,
            max_pixels=self.workshop.max_pixels,
        )

        async def authorize(password: str | None) -> None:
            if not await self.passwords.allows(slot, password):
                raise Refusal(Reason.INVALID_CREDENTIALS)

        try:
            with self.workshop.metrics.stage("receive"), self.workshop.activity.working():
                return await receive(
                    request.body,
                    reception,
                    deadline=min(window.deadline - window.reserve, window.started + self.upload_timeout),
                    threads=self.threads,
                    authorize=authorize,
                )
        finally:
            reception.close()

    async def _wait(self, job: Job) -> Reply:
        got: Reply | None = None
        try:
            got = await job.cell.wait(job.window.deadline)
        finally:
            job.cell.leave(got)
        return got
