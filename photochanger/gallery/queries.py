"""What is read back about a result."""

from typing import Any, Final
from uuid import UUID

from photochanger.db.facade import Db
from photochanger.media.store import MediaStore

_RESULT: Final = """
SELECT result.id, job.id AS job_id, job.slot_id, result.mime, result.bytes, result.sha256, result.width,
       result.height, result.path, result.created_at, result.expires_at, job.late,
       result.expires_at <= now() AS expired
FROM result JOIN job ON job.id = result.job_id WHERE job.id = $1
"""

_EXPIRED: Final = """
SELECT id, path FROM media_object WHERE job_id = $1 AND cleaned_at IS NULL AND expires_at <= now()
"""

_CLEANED: Final = "UPDATE media_object SET cleaned_at = now() WHERE id = ANY($1)"


async def find_result(db: Db, job_id: UUID) -> dict[str, Any] | None:
    """The result of a job, expired or not. Raises DatabaseUnavailable."""
    row = await db.fetchrow(_RESULT, job_id)
    return dict(row) if row else None


async def remove_expired(db: Db, media: MediaStore, job_id: UUID) -> None:
    """Remove a job's expired files, then say so in their rows. Raises DatabaseUnavailable, StorageUnavailable."""
    rows = await db.fetch(_EXPIRED, job_id)
    for row in rows:
        await media.remove(row["path"])
    await db.execute(_CLEANED, [row["id"] for row in rows])
