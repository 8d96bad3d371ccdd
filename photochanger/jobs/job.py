"""One photo's work, from the lane's place to the settled row. A task of its own; it never raises.

From `Lanes.submit` on the job owns the spool file, its place in the lane, its rows and the reply cell. The
handler only waits on the cell. Whatever happens, cancellation and bugs included, `run` settles the job once,
answers the cell and removes the temp folder.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import trio

from photochanger.domain.job import JobStatus, ReplyKind
from photochanger.domain.outcome import AttemptOutcome
from photochanger.domain.policy import GiveUp, after_failure
from photochanger.domain.reasons import Reason
from photochanger.domain.records import AttemptRow, Change, JobRow
from photochanger.domain.slot import Slot
from photochanger.domain.window import Window
from photochanger.errors import ConfigError, PictureError, Refusal, StorageUnavailable
from photochanger.jobs.attempt import Attempt
from photochanger.jobs.reply import ErrorReply, ReplyCell
from photochanger.jobs.settle import Settlement, settle
from photochanger.jobs.workshop import Workshop, utc_now
from photochanger.media.prepare import as_it_came, prepare
from photochanger.media.probe import Probe
from photochanger.media.store import StoredFile
from photochanger.media.threads import Priority
from photochanger.media.verify import Verified, write_preview
from photochanger.providers.base import PreparedPhoto
from supervisors import Request

log = logging.getLogger(__name__)

PREVIEWS_WAITING = 16
"""Previews that may wait for a pause in the work; each keeps its job's temp folder until then."""
SETTLE_BOUND = 5.0
"""Seconds that the shielded end of a job may take: one disk write, half a second of PostgreSQL, one journal entry."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A photo that was received whole: the spool file inside the job's own temp folder, and what is known of it."""

    path: Path
    folder: Path
    size: int
    sha256: bytes
    name: str | None
    fields: dict[str, str]
    probe: Probe


def reply_kind_of(slot: Slot) -> ReplyKind:
    """What a picture from the slot's own provider is called: a look made on this machine is no AI's."""
    return ReplyKind.LOCAL if slot.provider == "local" else ReplyKind.AI


class Job:
    """One photo. Made by ingest, run under its lane, driven by the policy."""

    def __init__(self, workshop: Workshop, job_id: UUID, slot: Slot, upload: Upload, window: Window) -> None:
        now = utc_now()
        deadline = now + timedelta(seconds=window.deadline - trio.current_time())
        self.slot = slot
        self.window = window
        self.cell = ReplyCell()
        self._workshop = workshop
        self._upload = upload
        self._attempts: list[Attempt] = []
        self._kept: StoredFile | None = None
        self._scope = trio.CancelScope(deadline=window.settle_by)
        self.cell.on_abandoned = self._scope.cancel
        self._row = JobRow(
            id=job_id,
            slot_id=slot.id,
            slot_version=slot.version,
            provider=slot.provider,
            deadline=deadline,
            settle_by=deadline,
            request_bytes=upload.size,
            request_sha256=upload.sha256,
            photo_name=upload.name,
            client_fields=upload.fields,
            created_at=now,
        )

    @property
    def id(self) -> UUID:
        """The job's id, in links and rows."""
        return self._row.id

    async def run(self, place: Request) -> None:
        """Do the work and settle it. Cancelled from outside, the job ends as `timeout`, possibly billed."""
        settlement = Settlement(JobStatus.TIMEOUT, Reason.PROVIDER_TIMEOUT)
        try:
            with self._scope:
                settlement = await self._work(place)
        except Refusal as refusal:
            settlement = Settlement(JobStatus.FAILED, refusal.reason)
        except ConfigError as error:
            log.error("job %s: slot %s cannot work as it is set up: %s", self.id, self.slot.id, error)
            settlement = Settlement(JobStatus.FAILED, Reason.PROVIDER_ERROR)
        except StorageUnavailable:
            log.exception("job %s: the disk cannot be used", self.id)
            settlement = Settlement(JobStatus.FAILED, Reason.STORAGE_UNAVAILABLE)
        except Exception:
            log.exception("job %s crashed", self.id)
            settlement = Settlement(JobStatus.FAILED, Reason.INTERNAL_ERROR)
        finally:
            place.withdraw()
            bound = trio.current_time() + SETTLE_BOUND
            with trio.CancelScope(deadline=bound, shield=True), self._workshop.activity.working():
                await self._finish(settlement)

    def cancel(self) -> None:
        """Give the work up: it settles as `timeout`, possibly billed, and answers at once."""
        self._scope.cancel()

    async def tidy(self) -> None:
        """After the reply: the preview, which nobody waits for, and the end of the temp folder.

        Previews wait for a quiet moment. Some may; under a long rush the rest is made when first looked at.
        """
        activity = self._workshop.activity
        try:
            if self._kept is not None and activity.waiting < PREVIEWS_WAITING:
                preview = self._upload.folder / "preview"
                async with activity.spare_time():
                    picture = self._workshop.media.locate(self._kept.path)
                    await self._workshop.pictures.run(Priority.PREVIEW, write_preview, picture, preview)
                    await self._workshop.media.keep_preview(preview, self._kept.path)
        except (StorageUnavailable, PictureError):
            log.exception("the preview of job %s was not written", self.id)
        finally:
            await self._workshop.media.remove_temp(self.slot.id, str(self.id))

    async def _work(self, place: Request) -> Settlement:
        if not place.granted:
            await self._workshop.store.save(Change(self._row))
        async with place:
            self._row = replace(self._row, status=JobStatus.PROCESSING, started_at=utc_now())
            photo = await self._prepare()
            while True:
                outcome, picture = await self._attempt(photo)
                if picture is not None:
                    return Settlement(JobStatus.DONE, None, picture, reply_kind_of(self.slot))
                step = after_failure(outcome, len(self._attempts), self.window, trio.current_time())
                if isinstance(step, GiveUp):
                    return Settlement(JobStatus.FAILED, step.reason)
                await trio.sleep_until(step.not_before)
                self._row = replace(self._row, retries=self._row.retries + 1)

    async def _prepare(self) -> PreparedPhoto:
        """The photo as it travels: as it came where that is good enough, turned and converted where not."""
        upload = self._upload
        if photo := as_it_came(upload.path, upload.probe, longest_side=self.slot.longest_side):
            return photo
        try:
            with self._workshop.metrics.stage("prepare"), self._workshop.activity.working():
                return await self._workshop.pictures.run(
                    Priority.NORMALISE,
                    partial(
                        prepare,
                        self._upload.path,
                        self._upload.folder / "prepared",
                        self._upload.probe,
                        longest_side=self.slot.longest_side,
                    ),
                )
        except PictureError as error:
            raise Refusal(error.reason, error.detail) from error

    async def _attempt(self, photo: PreparedPhoto) -> tuple[AttemptOutcome, Verified | None]:
        group = self._workshop.groups.get(self.slot.provider)
        if group is None:
            raise Refusal(Reason.PROVIDER_UNAVAILABLE, f"This slot names an unknown provider, {self.slot.provider}.")
        number = len(self._attempts) + 1
        attempt = Attempt(self._workshop, group, self.slot, self.id, number)
        self._attempts.append(attempt)
        return await attempt.run(photo, self._upload.folder / f"answer-{number}", self.window, self._book)

    async def _book(self, _begun: AttemptRow) -> None:
        """Make the begun attempt durable, together with the ends of those before it."""
        await self._workshop.store.save(Change(self._row, self._rows()))

    def _rows(self) -> tuple[AttemptRow, ...]:
        return tuple(attempt.row for attempt in self._attempts if attempt.row is not None)

    async def _finish(self, settlement: Settlement) -> None:
        try:
            for again in (False, True):
                try:
                    self._kept = await settle(
                        self._workshop, self._row, self.cell, self._rows(), settlement, again=again
                    )
                    return
                except StorageUnavailable:
                    log.exception("job %s: neither PostgreSQL nor the disk took its rows", self.id)
                    return
                except Exception:
                    # Not left at that: a job that is not settled stays open until the next start.
                    log.exception("job %s could not be settled", self.id)
        finally:
            self.cell.resolve(ErrorReply(settlement.reason or Reason.INTERNAL_ERROR))
