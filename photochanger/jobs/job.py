"""One photo's work, from the lane's place to the settled row. A task of its own; it never raises.

From `Lanes.submit` on the job owns the spool file, its place in the lane, its rows and the reply cell. The
handlers only wait on the cell. Whatever happens, cancellation and bugs included, `run` settles the job once,
answers the cell and ends all attempts.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import trio

from photochanger.domain.job import JobStatus
from photochanger.domain.outcome import Verdict
from photochanger.domain.reasons import Reason
from photochanger.domain.records import AttemptRow, Change, JobRow
from photochanger.domain.slot import Slot
from photochanger.domain.window import Window
from photochanger.errors import Refusal, StorageUnavailable
from photochanger.jobs.attempt import NOT_NEEDED, Attempt
from photochanger.jobs.origin import LIVE, Origin, first_row
from photochanger.jobs.originals import keep_original, planned_original
from photochanger.jobs.photo import Photo
from photochanger.jobs.preview import keep_preview
from photochanger.jobs.pursuit import Pursuit
from photochanger.jobs.reply import ErrorReply, PictureReply, ReplyCell, Waiter
from photochanger.jobs.settle import Settlement, replied, settle
from photochanger.jobs.spares import keep_spares
from photochanger.jobs.stand_in import StandIn
from photochanger.jobs.upload import Upload
from photochanger.jobs.ways import is_affordable, quickest_measured, reply_kind_of, usual_service
from photochanger.jobs.workshop import Workshop, utc_now
from photochanger.media.fit import fit_of
from photochanger.media.store import StoredFile
from supervisors import Request

log = logging.getLogger(__name__)

SETTLE_BOUND = 5.0
"""Seconds that the shielded end of a job may take: one disk write, half a second of PostgreSQL, one journal entry."""
STOP_BOUND = 2.0
"""Seconds in which attempts that were given up are over; a picture that is being decoded is waited for."""
BY_HAND = "an administrator stopped the work"
TIME_IS_OVER = "its time was over"
NOBODY_WAITS = "nobody waited any more"


class Job:
    """One photo. Made by ingest, run under its lane, driven by the policy."""

    def __init__(
        self,
        workshop: Workshop,
        job_id: UUID,
        slot: Slot,
        upload: Upload,
        window: Window,
        origin: Origin = LIVE,
    ) -> None:
        workshop = workshop.as_it_is()
        self.slot = slot
        self.window = window
        self.upload = upload
        self.cell = ReplyCell()
        self.cell.on_abandoned = self._nobody_waits
        self.cell.on_told_504 = self._note_reply
        self.awaited = True
        """Somebody waits for the answer. A job that nobody waits for takes no room from those of others."""
        self.joinable = True
        """There is an answer, or there may be one."""
        self.on_settled: Callable[[PictureReply | None], object] = lambda _picture: None
        """Called (sync) once, with the picture that the job came to."""
        self.settled = trio.Event()
        """The answer is there, and so is its row, as far as that can be written."""
        self._workshop = workshop
        self._photo = Photo(workshop, upload, slot)
        self._kept: StoredFile | None = None
        self._repeats: list[UUID] = []  # temp folders of those who joined, for tidy
        self._place: Request | None = None
        self._scope = trio.CancelScope(deadline=window.settle_by)
        fit = fit_of(slot.output, slot.output_width, slot.output_height, upload.probe.width, upload.probe.height)
        self._stand_in = StandIn(workshop, slot, upload, self.cell, fit, counts=origin.is_live)
        self._pursuit = Pursuit(
            workshop,
            slot,
            job_id,
            upload,
            self.cell,
            self._stand_in,
            fit,
            is_live=origin.is_live,
            photo_for=self._photo.for_group,
            book=self._book,
        )
        self.is_live = origin.is_live
        """A booth sent the photo."""
        self._row = first_row(job_id, slot, upload, window, origin)
        self._original = planned_original(workshop, self._row, upload)
        self._own_waiter: Waiter | None = None
        self._saved: tuple[AttemptRow, ...] = ()
        self._winner: Attempt | None = None
        self._settlement: Settlement | None = None  # that could not be written
        self._is_written = False
        self._went_on = False  # although nobody waited any more
        self._calls: trio.Nursery | None = None
        self._is_noting = False  # what was answered while the work goes on
        self._is_given_up = False  # by hand

    @property
    def id(self) -> UUID:
        """The job's id, in links and rows."""
        return self._row.id

    @property
    def row(self) -> JobRow:
        """What is known of it now."""
        return replace(self._row, cost_microusd=sum(attempt.cost_microusd for attempt in self.attempt_rows))

    @property
    def attempt_rows(self) -> tuple[AttemptRow, ...]:
        """Its calls so far, in order."""
        return tuple(attempt.row for attempt in self._pursuit.attempts if attempt.row is not None)

    @property
    def may_be_joined(self) -> bool:
        """There is an answer or may be one; not at the very moment at which the work is given up."""
        return self.joinable and (self._winner is not None or not self._scope.cancel_called)

    @property
    def likely_end(self) -> float:
        """When its place in the lane is free again, as far as can be told: of Trio's clock, never after the window."""
        now = trio.current_time()
        running = self._pursuit.running
        begun = min((attempt.begun for attempt in running if attempt.begun is not None), default=now)
        return max(now, min(begun + self.usual_service, self.window.deadline))

    @property
    def usual_service(self) -> float:
        """Seconds that nine of ten photos of this slot take at their first provider, as far as is known."""
        return usual_service(self._pursuit.ways)

    @property
    def latest_start(self) -> float | None:
        """When a place in the lane would come too late for any of its providers; None while none was measured."""
        quickest = quickest_measured(self._pursuit.ways)
        return None if quickest is None else self.window.deadline - self.window.reserve - quickest

    @property
    def affordable(self) -> bool:
        """Today's caps leave a plan of those that can work."""
        return is_affordable(self._pursuit.ways, self.slot, self._workshop.ledger)

    def join(self, window: Window, folder: UUID | None = None) -> Waiter:
        """One more waits for this job's answer, until the end of its own window. Synchronous.

        Its temp folder goes with the job's own: a slow disk keeps nobody waiting.

        Work that nobody waited for is live again, and goes on for as long as this one's window asks.
        """
        if folder is not None:
            self._repeats.append(folder)
        ahead = timedelta(seconds=window.settle_by - trio.current_time())
        settle_by = max(self._row.settle_by, utc_now() + ahead)
        self._row = replace(self._row, joined=self._row.joined + 1, settle_by=settle_by)
        self._scope.deadline = max(self._scope.deadline, window.settle_by)
        if not self.awaited:
            self.awaited = True
            for attempt in self._pursuit.running:
                attempt.become_live()
        waiter = self.cell.join(window.deadline)
        self._pursuit.tell()
        return waiter

    def wait_by_itself(self) -> None:
        """Nobody holds a connection for the answer: the job waits for it as a booth would. Before it is submitted."""
        self._own_waiter = self.cell.join(self.window.deadline)

    async def run(self, place: Request) -> None:
        """Do the work and settle it. Cancelled from outside, the job ends as `timeout`, possibly billed."""
        self._place = place
        try:
            async with trio.open_nursery() as calls:
                self._calls = calls
                if self._own_waiter is not None:
                    calls.start_soon(self.cell.attend, self._own_waiter)
                await self._work_and_settle(place, calls)
        finally:
            place.withdraw()
            came_before = self._winner is not None and self._spares
            if self.attempt_rows != self._saved or self._settlement is not None or came_before:
                with trio.CancelScope(deadline=trio.current_time() + SETTLE_BOUND, shield=True):
                    await self._save_what_came_after()

    def give_up(self) -> bool:
        """An administrator stops the work: it settles as `cancelled`, possibly billed, and answers at once.

        False, and nothing changes, where a picture has been verified already, or the job is settled. One that is being
        looked at just now may still win, as the slot's `on_timeout` has it. Synchronous.
        """
        has_picture = any(attempt.verified is not None for attempt in self._pursuit.attempts)
        if has_picture or self.cell.settling or self.cell.resolved is not None:
            return False
        self._is_given_up = True
        self.cell.meanwhile = Reason.CANCELLED
        self.cancel()
        return True

    def cancel(self) -> None:
        """Give the work up: it settles as `timeout`, possibly billed, and answers at once."""
        self.joinable = self.joinable and self.cell.resolved is not None
        self._scope.cancel()
        if self._winner is not None:
            self._pursuit.stop(NOT_NEEDED)  # spares, also while the job is being settled

    async def tidy(self) -> None:
        """After the reply: the guest's photo, the preview, which nobody waits for, and the end of the temp folder."""
        try:
            await self.cell.wait_until_all_left()
            if self._original is not None and self._is_written:
                await keep_original(self._workshop, self._original, self.upload.path)
            await keep_preview(self._workshop, self.id, self._kept, self.upload.folder)
        finally:
            for each in (self.id, *self._repeats):
                try:
                    await self._workshop.media.remove_temp(self.slot.id, str(each))
                except StorageUnavailable as error:  # the sweep comes back for it
                    log.error("the temp folder %s of job %s is left behind: %s", each, self.id, error)

    async def _work_and_settle(self, place: Request, calls: trio.Nursery) -> None:
        settlement: Settlement | None = None
        try:
            with self._scope:
                settlement = await self._work(place, calls)
                if settlement.picture is None:
                    # There is time: who gets no picture waits for the last resort as long as his window allows.
                    self.joinable = False
                    self._pursuit.stop(NOBODY_WAITS, unless_answered=True)
                    if not self._has_no_stand_in(settlement.reason):
                        await self._stand_in.wait_for()
        except Refusal as refusal:
            settlement = Settlement(JobStatus.FAILED, refusal.reason)
        except StorageUnavailable:
            log.exception("job %s: the disk cannot be used", self.id)
            settlement = Settlement(JobStatus.FAILED, Reason.STORAGE_UNAVAILABLE)
        except Exception:
            log.exception("job %s crashed", self.id)
            settlement = Settlement(JobStatus.FAILED, Reason.INTERNAL_ERROR)
        finally:
            bound = trio.current_time() + SETTLE_BOUND
            with trio.CancelScope(deadline=bound, shield=True), self._workshop.activity.working():
                try:
                    await self._end_attempts()
                finally:
                    end = JobStatus.CANCELLED if self._is_given_up else JobStatus.TIMEOUT
                    out_of_time = Settlement(end, self.cell.meanwhile)
                    await self._finish(self._last_picture() or settlement or out_of_time)
            place.withdraw()

    async def _work(self, place: Request, calls: trio.Nursery) -> Settlement:
        if self.slot.last_resort != "error":
            calls.start_soon(self._prepare_last_resort)
        if not place.granted:
            await self._workshop.store.save(Change(self._row))
            with self._stand_in.looking_round(calls):
                await place.decided.wait()
        async with place:
            self._row = replace(self._row, status=JobStatus.PROCESSING, started_at=utc_now())
            with self._stand_in.looking_round(calls):
                await self._photo.prepare()
            end = await self._pursuit.run(calls, self._scope)
        if isinstance(end, Attempt):
            return self._won(end)
        return Settlement(JobStatus.TIMEOUT if end is Reason.PROVIDER_TIMEOUT else JobStatus.FAILED, end)

    def _won(self, attempt: Attempt) -> Settlement:
        assert attempt.row is not None
        attempt.chosen()
        self._winner = attempt
        self._row = replace(self._row, provider=attempt.row.provider)
        kind = reply_kind_of(self.slot, attempt.errand.way_number)
        return Settlement(JobStatus.DONE, None, attempt.verified, kind, attempt.row.id)

    def _last_picture(self) -> Settlement | None:
        """A picture that was being looked at when all was given up, and is whole: it was paid for."""
        if self._winner is not None or self.slot.on_timeout == "drop":
            return None
        found = next((attempt for attempt in self._pursuit.attempts if attempt.verified is not None), None)
        return None if found is None else self._won(found)

    async def _prepare_last_resort(self) -> None:
        await self._stand_in.make()
        self._pursuit.tell()

    def _nobody_waits(self) -> None:
        """The last one who waited has gone, or has got a last resort. Synchronous."""
        self.awaited = False
        if self.cell.settling or not self.joinable:
            return
        if self.slot.on_timeout == "drop" or not self._pursuit.may_succeed:
            self.joinable = False
            self._scope.cancel()
            return
        self._went_on = True
        if self._place is not None:
            self._place.withdraw()
        for attempt in self._pursuit.attempts:
            if attempt.ended is None:
                attempt.become_late()
        self._note_reply()
        self._pursuit.tell()

    def _note_reply(self) -> None:
        """A booth was answered and the work goes on: that must not be lost if the service is. Synchronous."""
        got = self.cell.given
        if got is None:
            return
        self._row = replied(self._row, got, told_504=self.cell.told_504(got))
        if self._calls is not None and not self._is_noting:
            self._is_noting = True
            self._calls.start_soon(self._save_reply)

    async def _save_reply(self) -> None:
        self._is_noting = False
        if self.cell.settling or not self.joinable:
            return  # its end is written right now
        try:
            await self._workshop.store.save(Change(self._row, self.attempt_rows))
        except Exception:
            log.exception("what was answered for job %s could not be written; it is once more with its end", self.id)

    async def _end_attempts(self) -> None:
        """Without a winner all are stopped and waited for, so that their rows tell their ends."""
        if self._winner is not None:
            self._pursuit.end_losers(self._scope.deadline if self.slot.keep_spares else None)
            return
        self.joinable = False
        is_over = trio.current_time() >= self._scope.deadline
        why, verdict = (TIME_IS_OVER, Verdict.TIMEOUT) if is_over else (NOBODY_WAITS, Verdict.CANCELLED)
        if self._is_given_up:
            why, verdict = BY_HAND, Verdict.CANCELLED
        self._pursuit.stop(why, verdict, unless_answered=self.slot.on_timeout != "drop")
        with trio.move_on_after(STOP_BOUND):
            await self._pursuit.wait_until_stopped()
            if not self._is_given_up:
                await self._stand_in.wait_for()
        self._pursuit.stop(why, verdict)

    async def _book(self) -> None:
        """Make a begun attempt durable, together with what is known of the others."""
        await self._workshop.store.save(Change(self._row, self.attempt_rows))

    async def _finish(self, settlement: Settlement) -> None:
        error = ErrorReply(settlement.reason or Reason.INTERNAL_ERROR, self._pursuit.retry_after(settlement.reason))
        stand_in = None if self._has_no_stand_in(settlement.reason) else self._stand_in.reply
        settlement = replace(settlement, without=stand_in or error)
        made = sum(attempt.row is not None and not attempt.row.hedged for attempt in self._pursuit.attempts)
        self._row = replace(self._row, retries=max(made - 1, 0))
        if self._went_on and not self.awaited and self.is_live:
            self._workshop.metrics.late(settlement.status.value)
        if settlement.picture is None and isinstance(settlement.without, PictureReply):
            self._stand_in.count(settlement.without, len(self.cell.deadlines))
        try:
            for again in (False, True):
                try:
                    await self._settle(settlement, again=again)
                    return
                except StorageUnavailable:
                    log.exception("job %s: neither PostgreSQL nor the disk took its rows", self.id)
                    self._settlement = settlement
                    return
                except Exception:
                    # Not left at that: a job that is not settled stays open until the next start.
                    log.exception("job %s could not be settled", self.id)
        finally:
            self.cell.resolve(settlement.without or error)
            reply = self.cell.resolved
            picture = reply if isinstance(reply, PictureReply) and not reply.stand_in else None
            self.joinable = picture is not None
            self.awaited = False  # what is left to do, nobody waits for
            self._stand_in.not_needed()
            self.on_settled(picture)
            self.settled.set()

    async def _settle(self, settlement: Settlement, *, again: bool) -> None:
        rows = self.attempt_rows
        self._row, self._kept = await settle(
            self._workshop, self._row, self.cell, rows, settlement, original=self._original, again=again
        )
        self._saved, self._is_written = rows, True

    def _has_no_stand_in(self, reason: Reason | None) -> bool:
        """Not even a last resort: that is what the slot wants once its money is spent."""
        return reason is Reason.BUDGET_EXHAUSTED and self.slot.at_budget == "refuse"

    @property
    def _spares(self) -> list[Attempt]:
        """Those whose pictures did not win, and are to be kept: they were paid for, whenever they came."""
        attempts = self._pursuit.attempts if self.slot.keep_spares else []
        return [attempt for attempt in attempts if attempt.verified is not None and attempt is not self._winner]

    async def _save_what_came_after(self) -> None:
        """Attempts that ended after the job was settled: losers, and spares with their pictures."""
        if self._settlement is not None:
            try:  # the rows once more: the trouble may have passed
                await self._settle(self._settlement, again=True)
            except StorageUnavailable:
                log.error("job %s stays open until the next start", self.id)
        rows = self.attempt_rows
        row = replace(self._row, cost_microusd=sum(attempt.cost_microusd for attempt in rows))
        try:
            media = await keep_spares(self._workshop, row, self._spares)
            await self._workshop.store.save(Change(row, rows, media=media))
        except Exception:
            log.exception("what came of job %s after its end could not be written", self.id)
