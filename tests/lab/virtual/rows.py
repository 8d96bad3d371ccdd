"""The rows of the photos in memory, under the rules of the real store's statement."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import trio

from photochanger.domain.job import JobStatus
from photochanger.domain.records import AttemptRow, Change, JobRow, MediaRow, ResultRow
from photochanger.errors import StorageUnavailable
from photochanger.jobs.store import JobStore

UPDATED = (
    *("status", "failure_reason", "reply_kind", "reply_status", "replied_at", "provider", "provider_async_id"),
    *("retries", "late", "cost_microusd", "started_at", "finished_at"),
)
"""Columns of a job that a later change may set."""
OPEN = (JobStatus.QUEUED, JobStatus.PROCESSING)


class RecordingStore(JobStore):
    """`latency` gives the seconds of each write. While `broken`, neither PostgreSQL nor the journal takes anything.

    `ends` are the terminal statuses that each job asked for: a job that asks for two has settled twice. `ended_at` is
    when it asked first.
    """

    def __init__(self, latency: Callable[[], float] = lambda: 0.0) -> None:
        self.latency = latency
        self.clock = trio.current_time
        self.broken = False
        self.jobs: dict[UUID, JobRow] = {}
        self.attempts: dict[UUID, AttemptRow] = {}
        self.results: dict[UUID, ResultRow] = {}
        self.media: dict[UUID, MediaRow] = {}
        self.ends: dict[UUID, set[JobStatus]] = defaultdict(set)
        self.ended_at: dict[UUID, float] = {}

    async def save(self, change: Change) -> None:
        """As the real one. Raises StorageUnavailable while `broken`."""
        await trio.sleep(self.latency())
        if self.broken:
            raise StorageUnavailable("neither PostgreSQL nor the journal takes anything")
        self.write(change)

    async def files_are_wanted(self, _job_id: UUID) -> bool:
        """As the real one: nobody has them removed here."""
        await trio.sleep(self.latency())
        return True

    def write(self, change: Change) -> None:
        """What the statement does."""
        job, old = change.job, self.jobs.get(change.job.id)
        if job.status not in OPEN:
            self.ends[job.id].add(job.status)
            self.ended_at.setdefault(job.id, self.clock())
        if old is None:
            self.jobs[job.id] = job
        elif _may_follow(old.status, job.status):
            changed = {name: getattr(job, name) for name in UPDATED}
            settle_by = max(old.settle_by, job.settle_by)
            self.jobs[job.id] = replace(old, joined=max(old.joined, job.joined), settle_by=settle_by, **changed)
        for attempt in change.attempts:
            begun = self.attempts.get(attempt.id)
            if begun is None or begun.outcome is None:
                self.attempts[attempt.id] = attempt
        if change.result is not None:
            self.results.setdefault(change.result.job_id, change.result)
        for media in change.media:
            self.media.setdefault(media.id, media)

    def attempts_of(self, job_id: UUID) -> list[AttemptRow]:
        """In their order."""
        return sorted((row for row in self.attempts.values() if row.job_id == job_id), key=lambda row: row.number)


def _may_follow(old: JobStatus, new: JobStatus) -> bool:
    return old is JobStatus.QUEUED or old is new or (old is JobStatus.PROCESSING and new is not JobStatus.QUEUED)
