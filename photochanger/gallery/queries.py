"""What is read back about a job and its result."""

from typing import Any, Final
from uuid import UUID

from photochanger.db.facade import Db

_JOB: Final = """
SELECT job.id AS job_id, job.slot_id, job.status, job.failure_reason, job.reply_kind, job.reply_status, job.replied_at,
       job.late, job.retries, job.created_at, job.started_at, job.finished_at, result.expires_at,
       coalesce(result.expires_at <= now(), false) AS expired
FROM job LEFT JOIN result ON result.job_id = job.id WHERE job.id = $1
"""

_RESULT: Final = """
SELECT result.id, job.id AS job_id, job.slot_id, result.mime, result.bytes, result.sha256, result.width,
       result.height, result.path, result.created_at, result.expires_at, job.late,
       result.expires_at <= now() AS expired
FROM result JOIN job ON job.id = result.job_id WHERE job.id = $1
"""


async def find_job(db: Db, job_id: UUID) -> dict[str, Any] | None:
    """The job's row as anyone who knows its id may see it. Raises DatabaseUnavailable."""
    row = await db.fetchrow(_JOB, job_id)
    return dict(row) if row else None


async def find_result(db: Db, job_id: UUID) -> dict[str, Any] | None:
    """The result of a job, expired or not. Raises DatabaseUnavailable."""
    row = await db.fetchrow(_RESULT, job_id)
    return dict(row) if row else None
