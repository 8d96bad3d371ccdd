"""What is read back about a result."""

from typing import Any, Final
from uuid import UUID

from photochanger.db.facade import Db

_RESULT: Final = """
SELECT result.id, job.id AS job_id, job.slot_id, result.mime, result.bytes, result.sha256, result.width,
       result.height, result.path, result.created_at, result.expires_at, job.late,
       result.expires_at <= now() AS expired
FROM result JOIN job ON job.id = result.job_id WHERE job.id = $1
"""


async def find_result(db: Db, job_id: UUID) -> dict[str, Any] | None:
    """The result of a job, expired or not. Raises DatabaseUnavailable."""
    row = await db.fetchrow(_RESULT, job_id)
    return dict(row) if row else None
