"""Work stopped by hand."""

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

import trio

from photochanger.db.facade import Db
from photochanger.domain.job import JobStatus
from photochanger.domain.reasons import Reason
from photochanger.domain.records import JobRow
from photochanger.errors import Refusal
from photochanger.jobs.job import Job
from photochanger.jobs.lanes import Lanes

BOUND: Final = 12.0
"""Seconds in which a job that was given up has settled: attempts that end, a slow disk, a slow database."""

_EXISTS: Final = "SELECT status FROM job WHERE id = $1"


async def stop(
    lanes: Lanes, db: Db, job_id: UUID, told: Callable[[JobRow], Awaitable[None]], resumed: Callable[[UUID], bool]
) -> JobRow:
    """Give the job up and wait until it is settled; its row.

    `told` is called at once when it was given up: whoever asked may leave, and it may still end otherwise. `resumed`
    knows the jobs that were taken up after a restart: no task of ours has their photo.

    Raises Refusal: `not_found`, and `not_possible_now` for a job that has ended, or has its picture already.
    """
    job = lanes.find(job_id)
    if not isinstance(job, Job):
        status = await db.fetchval(_EXISTS, job_id)
        if status is None:
            raise Refusal(Reason.NOT_FOUND)
        if status not in (JobStatus.QUEUED, JobStatus.PROCESSING):
            raise Refusal(Reason.NOT_POSSIBLE_NOW, "It has ended.")
        if resumed(job_id):
            raise Refusal(
                Reason.NOT_POSSIBLE_NOW,
                "It was taken up after a restart, and cannot be stopped: its provider goes on until it ends.",
            )
        raise Refusal(Reason.NOT_POSSIBLE_NOW, "It is not at work in this process.")
    if not job.give_up():
        raise Refusal(Reason.NOT_POSSIBLE_NOW, "Its end is known, and is being written or told.")
    await told(job.row)
    with trio.move_on_after(BOUND):
        await job.settled.wait()
    row = job.row
    if row.status not in (JobStatus.CANCELLED, JobStatus.PROCESSING, JobStatus.QUEUED):
        raise Refusal(Reason.NOT_POSSIBLE_NOW, f"It has ended by itself meanwhile: {row.status}.")
    return row
