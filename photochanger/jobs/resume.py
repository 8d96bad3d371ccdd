"""After a crash: work that a provider goes on with is followed to its end, so that what is paid for is not lost."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final
from uuid import UUID

import trio

from photochanger.db.facade import Db
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.slot import Plan, Slot
from photochanger.errors import DatabaseUnavailable, PhotoChangerError, PictureError
from photochanger.jobs.recover import Unfinished, keep_row, settle_rows
from photochanger.jobs.workshop import Workshop
from photochanger.media.threads import Priority
from photochanger.media.verify import verify
from photochanger.providers.base import Call, PreparedPhoto

log = logging.getLogger(__name__)

_ENDED: Final = """
UPDATE attempt SET outcome = $2, finish_reason = $3, provider_error_code = $4, http_status = $5, message = $6,
       possibly_billed = $7, cost_microusd = CASE WHEN $7 AND $8 = 0 THEN estimate_microusd ELSE $8 END,
       response_id = $9, model_version = $10, finished_at = now()
WHERE id = $1 AND outcome IS NULL
"""


MOST_AT_ONCE: Final = 32
"""Works that wait for a late permit together: fewer than an admission has room for."""


class Resumption:
    """A child of the tree that ends when all is done. `left` is what recovery found; the slots are as they are now."""

    def __init__(self, db: Db, workshop: Workshop, find_slot: Callable[[str], Slot | None]) -> None:
        self.left: Sequence[Unfinished] = ()
        self._db = db
        self._workshop = workshop
        self._find_slot = find_slot

    def follows(self, job_id: UUID) -> bool:
        """Whether this job is at work here: nothing stops it, because its provider goes on whoever waits."""
        return any(each.job_id == job_id for each in self.left)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow all of them at once. Raises DatabaseUnavailable when an end could not be written; try again then."""
        task_status.started()
        at_once = trio.CapacityLimiter(MOST_AT_ONCE)
        async with trio.open_nursery() as nursery:
            for each in self.left:
                nursery.start_soon(self._follow, each, at_once)

    async def _follow(self, it: Unfinished, at_once: trio.CapacityLimiter) -> None:
        async with at_once:
            outcome = await self._outcome(it)
        await self._end(it, outcome)
        log.info("job %s was taken up after a crash: %s", it.job_id, outcome.verdict)
        if not any(each.job_id == it.job_id and each is not it for each in self.left):  # the last one of its job
            await settle_rows(self._db, [it.job_id])
            await self._workshop.media.remove_temp(it.slot_id, str(it.job_id))
        self.left = [each for each in self.left if each is not it]

    async def _outcome(self, it: Unfinished) -> AttemptOutcome:
        lost = AttemptOutcome(Verdict.TIMEOUT, message="it could not be taken up again", possibly_billed=True)
        slot = self._find_slot(it.slot_id)
        plan = next((plan for plan in slot.plans if plan.provider == it.provider), None) if slot else None
        if slot is None or plan is None:
            return lost
        group = self._workshop.groups[it.provider]
        try:
            call = self._call(it, plan)
            await trio.Path(call.out_path.parent).mkdir(mode=0o700, parents=True, exist_ok=True)
            outcome: AttemptOutcome | None = None
            with trio.move_on_at(it.until):
                outcome = await group.resume(call, it.handle, it.slot_id)
            if outcome is not None and outcome.picture is not None:
                await self._keep(it, slot, call)
        except PictureError as error:
            return AttemptOutcome(Verdict.BAD_PICTURE, message=error.detail, possibly_billed=True)
        except DatabaseUnavailable:
            raise  # what came is not lost: it is asked for again when the rows can be written
        except PhotoChangerError as error:
            log.error("job %s could not be taken up after a crash: %s", it.job_id, error)
            return lost
        except Exception:  # one driver's bug must not end the others' work
            log.exception("job %s could not be taken up after a crash", it.job_id)
            return lost
        return outcome or lost

    def _call(self, it: Unfinished, plan: Plan) -> Call:
        """Raises ConfigError."""
        settings = self._workshop.groups[it.provider].driver.parse_settings(plan.settings)
        folder = self._workshop.media.temp_path(it.slot_id, str(it.job_id))
        nothing = PreparedPhoto(folder / "payload", "image/jpeg", 0, 0, (), 0)
        return Call(nothing, plan.operation, settings, folder / f"answer-{it.attempt_id}", it.until)

    async def _keep(self, it: Unfinished, slot: Slot, call: Call) -> None:
        """Raises PictureError, StorageUnavailable, DatabaseUnavailable."""
        check = partial(
            verify,
            call.out_path,
            call.out_path.with_suffix(".reply"),
            max_pixels=self._workshop.max_pixels,
            allow_png=slot.allow_png,
            quality=slot.jpeg_quality,
        )
        picture = await self._workshop.pictures.run(Priority.LATE, check)
        stored = await self._workshop.media.keep_result(picture.path, str(it.job_id), picture.mime)
        await keep_row(self._db, self._workshop, it.job_id, stored, picture)

    async def _end(self, it: Unfinished, outcome: AttemptOutcome) -> None:
        await self._db.execute(
            _ENDED,
            it.attempt_id,
            outcome.verdict.value,
            outcome.finish_reason,
            outcome.error_code,
            outcome.http_status,
            outcome.message,
            outcome.possibly_billed,
            outcome.cost_microusd,
            outcome.response_id,
            outcome.model_version,
        )
