"""What a crash left behind, settled before the first new photo: rows, attempts, pictures, temp folders."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import trio

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.errors import PictureError, StorageUnavailable
from photochanger.jobs.workshop import Workshop, utc_now
from photochanger.media.store import StoredFile
from photochanger.media.threads import Priority
from photochanger.media.verify import Verified, verify

log = logging.getLogger(__name__)

# In-process mode: whatever is unfinished when this process starts belonged to one that is gone.
_UNFINISHED: Final = """
SELECT id, slot_id FROM job WHERE status IN ('queued', 'processing') AND created_at < $1
"""

# What a provider still works on, and tells under a handle, is not over: jobs/resume.py takes it up.
_RESUMABLE: Final = """
SELECT job.id AS job_id, job.slot_id, attempt.id AS attempt_id, attempt.provider, attempt.handle,
       extract(epoch FROM job.settle_by - now())::float8 AS seconds_left
FROM attempt JOIN job ON job.id = attempt.job_id
WHERE attempt.outcome IS NULL AND attempt.handle IS NOT NULL AND job.settle_by > now() AND job.id = ANY($1)
      AND NOT EXISTS (SELECT FROM result WHERE result.job_id = job.id)
"""

# Losers and spares whose job was settled before they ended.
_LEFT_RUNNING: Final = """
SELECT DISTINCT job_id FROM attempt WHERE outcome IS NULL AND begun_at < $1 AND job_id <> ALL($2)
"""

_ADD_UP: Final = """
UPDATE job SET cost_microusd = (SELECT sum(attempt.cost_microusd) FROM attempt WHERE attempt.job_id = job.id)
WHERE id = ANY($1)
"""

_BOOK: Final = """
UPDATE attempt SET outcome = 'timeout', possibly_billed = true, cost_microusd = estimate_microusd,
       finished_at = now(), message = 'the service ended while this call was running'
WHERE outcome IS NULL AND job_id = ANY($1)
"""

_SETTLE: Final = """
UPDATE job SET
  status = CASE WHEN result.id IS NOT NULL THEN 'done' WHEN job.deadline <= now() THEN 'timeout' ELSE 'failed' END,
  failure_reason = CASE WHEN result.id IS NOT NULL THEN NULL
                        WHEN job.deadline <= now() THEN $2 ELSE $3 END,
  reply_kind = coalesce(job.reply_kind, 'none'), late = result.id IS NOT NULL, finished_at = now(),
  cost_microusd = (SELECT coalesce(sum(attempt.cost_microusd), 0) FROM attempt WHERE attempt.job_id = job.id)
FROM job AS same LEFT JOIN result ON result.job_id = same.id
WHERE same.id = job.id AND job.id = ANY($1) AND job.status IN ('queued', 'processing')
"""

_KEEP: Final = """
WITH kept AS (
  INSERT INTO result (id, job_id, mime, sha256, width, height, path, bytes, created_at, expires_at)
  VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING
)
INSERT INTO media_object (id, job_id, slot_id, scope, path, created_at, expires_at)
SELECT gen_random_uuid(), id, slot_id, 'result', $6, $8, $9 FROM job WHERE id = $1
"""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Work that a provider goes on with. `until` is when it is given up, of Trio's clock."""

    job_id: UUID
    slot_id: str
    attempt_id: UUID
    provider: str
    handle: str
    until: float


async def recover(db: Db, workshop: Workshop, *, before: datetime) -> list[Unfinished]:
    """Settle what has been unfinished since `before`, and remove what is left over; what can be resumed is returned.

    A picture that had reached its final name before the crash was paid for and is whole: it becomes a result.
    Call it after the journal was replayed and before any photo is taken. Raises DatabaseUnavailable.
    """
    jobs = await db.fetch(_UNFINISHED, before)
    for job in jobs:
        await _keep_picture(db, workshop, job)
    resumable = [_unfinished(row) for row in await db.fetch(_RESUMABLE, [job["id"] for job in jobs])]
    resumable = [each for each in resumable if each.provider in workshop.groups]
    ids = [job["id"] for job in jobs if job["id"] not in {each.job_id for each in resumable}]
    if ids:
        await settle_rows(db, ids)
        log.warning("%d jobs that a crash had left unfinished were settled", len(ids))
    left_running = await db.fetch(_LEFT_RUNNING, before, [each.job_id for each in resumable])
    if left_running:
        ended = [row["job_id"] for row in left_running]
        await db.execute(_BOOK, ended)
        await db.execute(_ADD_UP, ended)
    for left in await workshop.media.leftover_temp():
        try:
            await workshop.media.remove_temp(left.slot_id, left.job_id)
        except (StorageUnavailable, ValueError) as error:  # ValueError: a folder that is none of ours
            # No reason not to begin: the caretaker will try again.
            log.error("the temp folder of job %s is left behind: %s", left.job_id, error)
    return resumable


async def settle_rows(db: Db, ids: Sequence[UUID]) -> None:
    """Book the attempts whose ends nobody knows, and settle the jobs by whether they have a result."""
    await db.execute(_BOOK, ids)
    await db.execute(_SETTLE, ids, Reason.PROVIDER_TIMEOUT.value, Reason.INTERNAL_ERROR.value)


async def keep_row(db: Db, workshop: Workshop, job_id: UUID, stored: StoredFile, picture: Verified) -> None:
    """The row of a picture that is among the results already."""
    created = utc_now()
    found = (picture.mime, bytes.fromhex(stored.sha256), picture.width, picture.height, stored.path, stored.bytes)
    await db.execute(_KEEP, job_id, *found, created, created + workshop.result_ttl)


def _unfinished(row: Any) -> Unfinished:
    values = dict(row)
    until = trio.current_time() + values.pop("seconds_left")
    return Unfinished(**values, until=until)


async def _keep_picture(db: Db, workshop: Workshop, job: Any) -> None:
    stored = await workshop.media.find_result(str(job["id"]))
    if stored is None:
        return
    path = workshop.media.locate(stored.path)
    try:
        check = partial(verify, path, path.with_suffix(".part"), max_pixels=workshop.max_pixels, allow_png=True)
        picture = await workshop.pictures.run(Priority.VERIFY, check)
    except PictureError as error:
        log.warning("the picture that job %s left behind is damaged: %s", job["id"], error.detail)
        return
    await keep_row(db, workshop, job["id"], stored, picture)
