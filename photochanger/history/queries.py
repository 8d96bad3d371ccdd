"""One job and its result, as the rows tell them."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from photochanger.db.facade import Db
from photochanger.jobs.told import ATTEMPT_FIELDS, AttemptView

_JOB: Final = """
SELECT job.*, job.id AS job_id, result.expires_at,
       coalesce(result.expires_at > now() AND result.rejected_at IS NULL, false) AS shown,
       job.finished_at IS NOT NULL AND coalesce(result.expires_at, job.created_at + $2) <= now() AS over,
       (SELECT max(media.expires_at) FROM media_object AS media
        WHERE media.job_id = coalesce(job.rerun_of, job.id) AND media.scope = 'original' AND media.cleaned_at IS NULL
              AND media.expires_at > now()) AS original_until
FROM job LEFT JOIN result ON result.job_id = job.id WHERE job.id = $1
"""

_ATTEMPTS: Final = "SELECT * FROM attempt WHERE job_id = $1 ORDER BY number"

_RESULT: Final = """
SELECT job.id AS job_id, job.slot_id, result.mime, result.bytes, result.sha256, result.width, result.height,
       result.created_at, result.expires_at, job.late,
       result.expires_at > now() AND result.rejected_at IS NULL AS shown,
       result.attempt_id, attempt.provider, attempt.model, coalesce(attempt.cost_microusd, 0) AS cost_microusd
FROM result JOIN job ON job.id = result.job_id LEFT JOIN attempt ON attempt.id = result.attempt_id
WHERE job.id = $1
"""


async def find_job(db: Db, job_id: UUID, ttl: timedelta) -> dict[str, Any] | None:
    """The job's row; `over` says that strangers are told nothing of it any more: its result has expired, or, without
    one, `ttl` has passed since it began. `shown` is as in `find_result`. Raises DatabaseUnavailable.
    """
    row = await db.fetchrow(_JOB, job_id, ttl)
    return dict(row) if row else None


async def find_attempts(db: Db, job_id: UUID) -> list[AttemptView]:
    """The job's calls, in order. Raises DatabaseUnavailable."""
    rows = await db.fetch(_ATTEMPTS, job_id)
    return [AttemptView(**{name: row[name] for name in ATTEMPT_FIELDS}) for row in rows]


async def find_result(db: Db, job_id: UUID) -> dict[str, Any] | None:
    """The result of a job; `shown` says that its picture is there for everybody: not expired, and not rejected.

    Raises DatabaseUnavailable.
    """
    row = await db.fetchrow(_RESULT, job_id)
    return dict(row) if row else None
