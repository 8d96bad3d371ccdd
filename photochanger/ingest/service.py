"""The way of one request: access, upload, twins, admission, and the wait for the reply."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID, uuid4

import trio
from quart import Request, Response, after_this_request
from quart.typing import ResponseTypes

from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.domain.window import Window
from photochanger.errors import Refusal, StorageUnavailable
from photochanger.ingest.access import PasswordCheck
from photochanger.ingest.admission import Admission
from photochanger.ingest.reply import respond
from photochanger.ingest.signature import Signed, decide_auth
from photochanger.ingest.signature_check import SignatureCheck
from photochanger.ingest.upload import FORM_OVERHEAD, Reception, receive
from photochanger.jobs.job import Job
from photochanger.jobs.origin import Origin
from photochanger.jobs.reply import ErrorReply, PictureReply, Reply, Waiter
from photochanger.jobs.twins import Done, Twins, checked_key
from photochanger.jobs.upload import Upload
from photochanger.jobs.workshop import Workshop
from photochanger.media.room import Room
from photochanger.observability.metrics import Seen
from photochanger.web.app import started_at, when_done

log = logging.getLogger(__name__)

POLL_AGAIN = 5
"""Seconds after which a client may ask for a late picture."""


@dataclass(slots=True)
class Ingest:
    """What the booth's route works with."""

    find_slot: Callable[[str], Slot | None]
    workshop: Workshop
    room: Room
    twins: Twins
    admission: Admission
    signatures: SignatureCheck
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
            self._tell_limits(slot)
            key = checked_key(request.headers.get("Idempotency-Key"))
            late = 0.0 if slot.on_timeout == "drop" else slot.t_late
            window = Window.of(started, slot.t_sync, self.reserve, late)
            photo = await self._receive(slot, window, request, key)
            if isinstance(photo, Done):
                response = await respond(photo.reply, photo.job_id, request)
                response.headers["Idempotent-Replayed"] = "true"
                return response
            job, waiter = photo
            seen.has_job = True
            reply = await job.cell.attend(waiter)
            if isinstance(reply, PictureReply) and reply.stand_in:
                when_done(request, job.cell.hold())
            return await respond(self._with_address(reply, job), job.id, request)

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

    def _tell_limits(self, slot: Slot) -> None:
        @after_this_request
        async def tell(response: ResponseTypes) -> ResponseTypes:
            response.headers.extend(self.admission.rates.headers(slot, trio.current_time()))
            return response

    async def _receive(
        self, slot: Slot, window: Window, request: Request, key: str | None
    ) -> tuple[Job, Waiter] | Done:
        """Spool the photo, then join its twin or hand it over; until that the temp folder is ours, then the job's."""
        if (request.content_length or 0) > slot.size_limit_bytes + FORM_OVERHEAD:
            raise Refusal(Reason.PAYLOAD_TOO_LARGE)
        signed = self._signed(slot, request)
        await self.room.require(request.content_length or slot.size_limit_bytes)
        job_id = uuid4()
        is_ours = True
        try:
            folder = self.workshop.media.temp_path(slot.id, str(job_id))
            upload = await self._spool(folder, slot, window, request, signed)
            if done := await self._earlier(slot, upload, key):
                return done
            # From here on there is no checkpoint: either the job owns everything, or nothing of it, and of several
            # equal photos at this moment one becomes a job.
            twin = self.twins.find(slot, upload.sha256, key)
            if isinstance(twin, Done):
                return twin
            if twin is not None:
                self.workshop.metrics.joined()
                is_ours = False
                return twin, twin.join(window, job_id)
            photo = self._submit(
                Job(self.workshop, job_id, slot, upload, window, origin=Origin(idempotency_key=key)), key
            )
            is_ours = False
            return photo
        finally:
            if is_ours:
                await self._forget(slot.id, job_id)

    def _submit(self, job: Job, key: str | None) -> tuple[Job, Waiter]:
        """Synchronous. Raises Refusal; then nothing was handed over."""
        waiter = job.cell.join(job.window.deadline)
        self.admission.submit(job)
        self.twins.remember(job, key)
        return job, waiter

    async def _earlier(self, slot: Slot, upload: Upload, key: str | None) -> Done | None:
        """A finished twin whose picture is still there: of this process, or of one before it."""
        twin = self.twins.find(slot, upload.sha256, key) or await self.twins.look_up(slot, upload.sha256, key)
        if not isinstance(twin, Done):
            return None
        if await trio.Path(twin.reply.path).is_file():
            return twin
        self.twins.forget(twin, slot, upload.sha256, key)
        return None

    async def _forget(self, slot_id: str, job_id: UUID) -> None:
        try:
            await self.workshop.media.remove_temp(slot_id, str(job_id))  # shields itself
        except StorageUnavailable:
            # What the booth is told is why it gets no picture; the folder is swept at the next start.
            log.exception("a temp folder of %s is left behind", slot_id)

    def _signed(self, slot: Slot, request: Request) -> Signed | None:
        """The signature by which the request may use the slot, checked as far as can be now; None = it needs none."""
        if slot.auth == "open":
            return None  # a booth that still signs is let in as one that does not
        raw_path = request.scope["raw_path"].partition(b"?")[0]
        signed = Signed.from_request(request.method, raw_path, request.query_string, request.headers)
        if decide_auth(slot, signed) == "password" or signed is None:
            return None
        self.signatures.early(slot, signed)
        return signed

    async def _spool(self, folder: Path, slot: Slot, window: Window, request: Request, signed: Signed | None) -> Upload:
        """Receive the photo into `folder`; the password is checked as soon as it is there, a signature at the end."""
        reception = Reception(
            request.headers.get("Content-Type", ""),
            folder,
            max_photo=slot.size_limit_bytes,
            max_pixels=self.workshop.max_pixels,
            signed=signed is not None,
        )

        async def authorize(password: str | None) -> None:
            if signed is not None:
                await self.signatures.whole(slot, signed, reception.body_sha256)
            elif decide_auth(slot, None) == "password" and not await self.passwords.allows(slot, password):
                raise Refusal(Reason.INVALID_CREDENTIALS)

        try:
            with self.workshop.metrics.stage("receive"), self.workshop.activity.working():
                upload = await receive(
                    request.body,
                    reception,
                    deadline=min(window.deadline - window.reserve, window.started + self.upload_timeout),
                    threads=self.threads,
                    authorize=authorize,
                )
        finally:
            reception.close()
        return replace(upload, seconds=trio.current_time() - window.started)

    def _with_address(self, reply: Reply, job: Job) -> Reply:
        """Where the picture can be asked for later, if the slot tells that and there may be one."""
        late = isinstance(reply, ErrorReply) and reply.reason is Reason.PROVIDER_TIMEOUT and job.joinable
        if late and job.slot.on_timeout == "poll":
            return ErrorReply(Reason.PROVIDER_TIMEOUT, POLL_AGAIN, f"/api/results/{job.id}")
        return reply
