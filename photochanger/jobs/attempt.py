"""One provider call of one job: booked before its first byte, run in its group, its picture verified.

A task of its own in the job's nursery. It never raises: what went wrong is its outcome.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import trio

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.reasons import Reason
from photochanger.domain.records import AttemptRow
from photochanger.domain.situation import Try
from photochanger.domain.slot import Slot
from photochanger.errors import ConfigError, PictureError, Refusal, StorageUnavailable
from photochanger.jobs.ledger import Reservation
from photochanger.jobs.workshop import Workshop, utc_now
from photochanger.media.fit import Fit
from photochanger.media.threads import Priority
from photochanger.media.verify import Verified, verify
from photochanger.providers.base import Call, PreparedPhoto
from photochanger.providers.group import ProviderGroup
from supervisors import Request

log = logging.getLogger(__name__)

NO_LATE_ROOM = "nobody waited any more, and the room for late work was needed for newer work"
NOT_NEEDED = "another call was first"


@dataclass(frozen=True, slots=True)
class Errand:
    """What an attempt is to do, and for whom: fixed when it starts. `settings` is the driver's own parse of them."""

    slot: Slot
    job_id: UUID
    number: int
    way_number: int
    operation: str
    settings: Any
    group: ProviderGroup
    hedged: bool
    folder: Path
    fit: Fit | None


class Attempt:
    """`row` is always what is known now: None until it was booked, ended as soon as `run` has left, however.

    `on_change` is called (sync) whenever what the policy sees of this attempt has changed; `book` makes the begun row
    durable, and when it raises, no byte is sent.
    """

    def __init__(
        self,
        workshop: Workshop,
        errand: Errand,
        *,
        photo_for: Callable[[ProviderGroup], Awaitable[PreparedPhoto]],
        book: Callable[[], Awaitable[None]],
        on_change: Callable[[], None],
    ) -> None:
        self.errand = errand
        self.row: AttemptRow | None = None
        self.begun: float | None = None
        self.ended: float | None = None
        self.request: Request | None = None
        """Its place in the queue for a permit, then the permit; set before `run`."""
        self.outcome: AttemptOutcome | None = None
        self.verified: Verified | None = None
        self._workshop = workshop
        self._photo_for = photo_for
        self._book = book
        self._on_change = on_change
        self._scope = trio.CancelScope()
        self._stopped: AttemptOutcome | None = None
        self._answered_at: float | None = None
        self._is_late = False
        self._reservation: Reservation | None = None
        driver, settings = errand.group.driver, errand.settings
        self._planned = AttemptRow(
            id=uuid4(),
            job_id=errand.job_id,
            number=errand.number,
            provider=errand.group.name,
            model=driver.model_of(settings),
            begun_at=utc_now(),
            estimate_microusd=driver.estimate_microusd(settings),
            hedged=errand.hedged,
        )

    @property
    def never_made(self) -> bool:
        """It was taken back while it still waited for a permit: as if it had never been."""
        return self._stopped is not None and self.begun is None

    @property
    def is_running(self) -> bool:
        """A call is being made, or its picture is being looked at."""
        return self.begun is not None and self.ended is None

    @property
    def is_refused(self) -> bool:
        """The provider judged the photo."""
        return self.ended is not None and self.outcome is not None and self.outcome.verdict is Verdict.REFUSED

    @property
    def costs_money(self) -> bool:
        """The provider has the request, and is paid for it."""
        return self.is_running and self._planned.estimate_microusd > 0

    def seen(self) -> Try:
        """This attempt as the policy sees it."""
        return Try(
            self.errand.way_number,
            self.begun,
            self.ended,
            self.outcome if self.ended is not None else None,
            verified=self.ended is not None and self.verified is not None,
            stopping=self._stopped is not None,
            queued=self.request is not None and not self.request.decided.is_set(),
        )

    def stop(self, why: str, verdict: Verdict = Verdict.CANCELLED, *, unless_answered: bool = False) -> None:
        """Give it up; `why` is kept with its row. Synchronous; what was said first stays.

        `unless_answered`: a picture that has come is still looked at, until `stop` is called without it.
        """
        self._stopped = self._stopped or AttemptOutcome(verdict, message=why)
        if self._answered_at is None or not unless_answered:
            self._scope.cancel()

    def chosen(self) -> None:
        """Its picture is the answer, even if it was given up while it was looked at: the row tells of no end then."""
        if self.row is not None:
            self.row = replace(self.row, message=None)

    def go_on_until(self, moment: float) -> None:
        """A spare: nobody waits for it, and it ends by itself at `moment` (of Trio's clock)."""
        self._scope.deadline = moment
        self.become_late()

    def become_late(self) -> None:
        """Nobody waits any more: go on in the room for late work, or stop where there is none."""
        self._is_late = True
        if self.is_running and self._answered_at is not None:
            return  # its picture is only looked at: it holds no permit
        request = self.request if self.is_running else None
        if request is None or not self.errand.group.become_late(request, partial(self.stop, NO_LATE_ROOM)):
            self.stop(NO_LATE_ROOM)

    def become_live(self) -> None:
        """Somebody waits again."""
        self._is_late = False
        if self.request is not None:
            self.errand.group.become_live(self.request)

    def not_made(self, outcome: AttemptOutcome) -> None:
        """It ends before it began: there was no room for it."""
        self._end(outcome)

    async def run(self) -> None:
        """Wait for the permit, make the call, verify its picture."""
        assert self.request is not None
        request = self.request
        outcome = AttemptOutcome(Verdict.CANCELLED)
        try:
            with self._scope:
                outcome = await self._make(request)
        except Refusal as refusal:  # before the first byte
            made_up = Verdict.UNAFFORDABLE if refusal.reason is Reason.BUDGET_EXHAUSTED else Verdict.UNAVAILABLE
            outcome = AttemptOutcome(made_up, message=refusal.detail or None)
        except StorageUnavailable as error:
            log.error("attempt %d of job %s: %s", self.errand.number, self.errand.job_id, error)
            outcome = self._failed(Verdict.STORAGE, str(error))
        except ConfigError as error:
            log.error("slot %s cannot work as it is set up: %s", self.errand.slot.id, error)
            outcome = AttemptOutcome(Verdict.REJECTED, message=str(error))
        except Exception:
            log.exception("attempt %d of job %s crashed", self.errand.number, self.errand.job_id)
            outcome = self._failed(Verdict.CRASHED)
        finally:
            request.withdraw()
            self._end(outcome)

    async def _make(self, request: Request) -> AttemptOutcome:
        errand = self.errand
        call = Call(
            await self._photo_for(errand.group),
            errand.operation,
            errand.settings,
            errand.folder / f"answer-{errand.number}",
            trio.current_time() + errand.group.driver.cap,
            await self._workshop.templates.load(errand.slot),
            self._workshop.publisher,
            self._on_handle,
        )
        # What came is kept even if looking at it is cut off: it says what was paid for.
        self.outcome = outcome = await errand.group.attempt(call, request, begin=self._begin)
        self._answered_at = trio.current_time()
        try:
            self.verified = await self._verify(outcome)
        except PictureError as error:
            outcome = replace(outcome, verdict=Verdict.BAD_PICTURE, picture=None, message=error.detail)
        return outcome

    async def _begin(self) -> None:
        estimate = self._planned.estimate_microusd
        self._reservation = self._workshop.ledger.reserve(self.errand.slot, estimate)
        if self._reservation is None:
            raise Refusal(Reason.BUDGET_EXHAUSTED)
        self.row = replace(self._planned, begun_at=utc_now())
        await self._book()
        # The journal's disk write is not cut off: who was given up meanwhile has asked for nothing and owes nothing.
        await trio.lowlevel.checkpoint_if_cancelled()
        self.begun = trio.current_time()
        self._on_change()

    async def _on_handle(self, handle: str) -> None:
        assert self.row is not None
        self.row = replace(self.row, handle=handle)
        await self._book()

    async def _verify(self, outcome: AttemptOutcome) -> Verified | None:
        """The picture counts only when it decodes whole. Raises PictureError when it does not."""
        if outcome.picture is None:
            return None
        priority = Priority.LATE if self._is_late else Priority.VERIFY
        with self._workshop.metrics.stage("verify"), self._workshop.activity.working():
            return await self._workshop.pictures.run(
                priority,
                partial(
                    verify,
                    outcome.picture.path,
                    outcome.picture.path.with_suffix(".reply"),
                    max_pixels=self._workshop.max_pixels,
                    allow_png=self.errand.slot.allow_png,
                    quality=self.errand.slot.jpeg_quality,
                    fit=self.errand.fit,
                ),
            )

    def _failed(self, verdict: Verdict, message: str | None = None) -> AttemptOutcome:
        """It came to nothing because of us; what an answer cost that had come is known all the same."""
        if self.outcome is not None:
            return replace(self.outcome, verdict=verdict, picture=None, message=message)
        return AttemptOutcome(verdict, message=message, possibly_billed=self.begun is not None)

    def _end(self, outcome: AttemptOutcome) -> None:
        now = trio.current_time()
        if outcome.verdict is Verdict.CANCELLED:
            stopped = self._stopped or outcome
            if self.outcome is not None:
                # Cut off while its picture was being looked at. The answer had come: what it cost is known.
                outcome = replace(self.outcome, message=stopped.message)
            else:
                # Whether an abandoned call is billed, nobody says.
                outcome = replace(stopped, possibly_billed=self.begun is not None)
        elif self._stopped is not None and outcome.verdict is Verdict.PICTURE:
            # Decoding cannot be cut off: the picture is whole, and yet it was given up.
            outcome = replace(outcome, message=self._stopped.message)
        self.outcome = outcome
        self.ended = now
        if self.row is not None:
            seconds = (now if self._answered_at is None else self._answered_at) - (
                now if self.begun is None else self.begun
            )
            self.row = self.row.ended(outcome, utc_now(), seconds)
            self._workshop.metrics.attempt(self.errand.group.name, outcome, self.row.cost_microusd, seconds)
        if self._reservation is not None:
            self._reservation.settle(self.row.cost_microusd if self.row is not None else 0)
        self._on_change()
