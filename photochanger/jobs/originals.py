"""The guest's photo as it came, kept for a while after the reply, so that an administrator can look and try again.

Its row is written with the end of the job, its file is moved in after the reply: so there may be a row without a
file, after a crash, and never a file without a row.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

from photochanger.db.facade import Db
from photochanger.domain.job import Source
from photochanger.domain.records import JobRow, MediaRow
from photochanger.errors import StorageUnavailable
from photochanger.jobs.upload import Upload
from photochanger.jobs.workshop import Workshop, utc_now
from photochanger.media.store import original_path

log = logging.getLogger(__name__)

# A re-run has no photo of its own: it is that of the job whose photo it took.
_FIND: Final = """
SELECT asked.slot_id, job.id AS job_id, job.photo_name, job.request_sha256 AS sha256, media.path, media.expires_at,
       job.status IN ('queued', 'processing') AS at_work,
       coalesce(job.finished_at, job.created_at) > now() - $2::interval AS young
FROM job AS asked
JOIN job ON job.id = coalesce(asked.rerun_of, asked.id)
LEFT JOIN media_object AS media
       ON media.job_id = job.id AND media.scope = 'original' AND media.cleaned_at IS NULL AND media.expires_at > now()
WHERE asked.id = $1
"""


TIDY: Final = timedelta(minutes=10)
"""After its job's end a photo is moved to its place, behind late calls, slow readers and a preview at most."""


@dataclass(frozen=True, slots=True)
class Original:
    """The photo of job `job_id`; `path` is None where it is not kept (any more), else relative to the store.

    While the job is `at_work` its row is to come, and while it is `young` the file may be, which comes later.
    """

    slot_id: str
    job_id: UUID
    photo_name: str | None
    sha256: bytes
    path: str | None
    expires_at: datetime | None
    at_work: bool
    young: bool


def planned_original(workshop: Workshop, row: JobRow, upload: Upload) -> MediaRow | None:
    """The row under which this job's photo will be kept; None where it will not be."""
    ttl = workshop.original_ttl
    if not ttl or row.source not in (Source.INGEST, Source.UI_TEST):
        return None
    now = utc_now()
    path = original_path(str(row.id), row.created_at.date(), upload.probe.mime)
    return MediaRow(uuid5(row.id, "original"), row.id, row.slot_id, "original", path, now, now + ttl)


async def keep_original(workshop: Workshop, planned: MediaRow, photo: Path) -> None:
    """Move the photo to its place, now that nobody reads it, unless it is to go already. Its row must be written.

    Never raises.
    """
    if planned.expires_at <= utc_now() or not await workshop.store.files_are_wanted(planned.job_id):
        return  # whoever removes what has expired may have been there already
    try:
        await workshop.media.keep_original(photo, planned.path)
    except StorageUnavailable:
        log.exception("the photo of job %s is not kept", planned.job_id)


async def find_original(db: Db, job_id: UUID) -> Original | None:
    """Where the photo of this job is; None for a job that nobody knows. Raises DatabaseUnavailable."""
    row = await db.fetchrow(_FIND, job_id, TIDY)
    return Original(**dict(row)) if row else None
