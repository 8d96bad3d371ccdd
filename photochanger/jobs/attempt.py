"""One provider call of one job: booked before its first byte, run in its group, its picture verified."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import trio

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.records import AttemptRow
from photochanger.domain.slot import Slot
from photochanger.domain.window import Window
from photochanger.errors import PictureError
from photochanger.jobs.workshop import Workshop, utc_now
from photochanger.media.threads import Priority
from photochanger.media.verify import Verified, verify
from photochanger.providers.base import Call, PreparedPhoto
from photochanger.providers.group import ProviderGroup


class Attempt:
    """`row` is always what is known now: None until it was booked, ended as soon as `run` has left, however."""

    def __init__(self, workshop: Workshop, group: ProviderGroup, slot: Slot, job_id: UUID, number: int) -> None:
        self._workshop = workshop
        self._group = group
        self._slot = slot
        self._settings = group.driver.parse_settings(slot.settings)
        self._planned = AttemptRow(
            id=uuid4(),
            job_id=job_id,
            number=number,
            provider=group.name,
            model=group.driver.model_of(self._settings),
            begun_at=utc_now(),
            estimate_microusd=group.driver.estimate_microusd(self._settings),
        )
        self.row: AttemptRow | None = None

    async def run(
        self, photo: PreparedPhoto, out_path: Path, window: Window, book: Callable[[AttemptRow], Awaitable[None]]
    ) -> tuple[AttemptOutcome, Verified | None]:
        """Make the call. `book` makes the begun row durable; when it raises, no byte is sent."""
        outcome = AttemptOutcome(Verdict.CANCELLED)
        verified: Verified | None = None
        started = trio.current_time()
        answered: float | None = None

        async def begin() -> None:
            nonlocal outcome, started
            self.row = replace(self._planned, begun_at=utc_now())
            await book(self.row)
            started = trio.current_time()
            # From here on a cancellation may cost money: whether an abandoned call is billed, nobody says.
            outcome = AttemptOutcome(Verdict.CANCELLED, possibly_billed=True)

        call = Call(photo, self._slot.operation, self._settings, out_path, window.deadline)
        try:
            outcome = await self._group.attempt(call, begin=begin, slot_id=self._slot.id)
            answered = trio.current_time()
            verified = await self._verify(outcome)
        except PictureError as error:
            outcome = replace(outcome, verdict=Verdict.BAD_PICTURE, picture=None, message=error.detail)
        except Exception:
            if outcome.verdict is Verdict.CANCELLED:  # nobody did that: the call was never made
                outcome = replace(outcome, verdict=Verdict.CRASHED)
            raise
        finally:
            if outcome.verdict is Verdict.CANCELLED and trio.current_time() >= window.settle_by:
                outcome = replace(outcome, verdict=Verdict.TIMEOUT)
            self._end(outcome, (answered or trio.current_time()) - started)
        return outcome, verified

    async def _verify(self, outcome: AttemptOutcome) -> Verified | None:
        """The picture counts only when it decodes whole. Raises PictureError when it does not."""
        if outcome.picture is None:
            return None
        with self._workshop.metrics.stage("verify"), self._workshop.activity.working():
            return await self._workshop.pictures.run(
                Priority.VERIFY,
                partial(
                    verify,
                    outcome.picture.path,
                    outcome.picture.path.with_suffix(".reply"),
                    max_pixels=self._workshop.max_pixels,
                    allow_png=self._slot.allow_png,
                    quality=self._slot.jpeg_quality,
                ),
            )

    def _end(self, outcome: AttemptOutcome, seconds: float) -> None:
        if self.row is None:
            return
        self.row = self.row.ended(outcome, utc_now(), seconds)
        self._workshop.metrics.attempt(self._group.name, outcome, self.row.cost_microusd, seconds)
