"""A result for those who may see it: neither rejected nor expired, and approved where a guest needs that."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.media.retention import Retention

_RESULT: Final = """
SELECT job.id AS job_id, job.slot_id, job.created_at AS taken_at, job.status, slot.moderated, result.mime,
       result.sha256, result.width, result.height, result.path, result.expires_at, result.approved_at,
       result.rejected_at, coalesce(result.expires_at <= now(), false) AS expired
FROM job JOIN slot ON slot.id = job.slot_id LEFT JOIN result ON result.job_id = job.id WHERE job.id = $1
"""

WAIT: Final = 5
"""Seconds after which it is worth asking again for a picture that is still at work."""


class Results:
    """Looks results up. What has expired is removed when it is asked for, if it is still there and `cleaning` says
    so: an administrator may want to keep everything for a while.
    """

    def __init__(self, db: Db, retention: Retention, *, cleaning: Callable[[], bool]) -> None:
        self._db = db
        self._retention = retention
        self._cleaning = cleaning

    async def visible(self, job_id: UUID) -> Mapping[str, Any]:
        """The result of a job. Raises Refusal (not_found, result_expired), DatabaseUnavailable."""
        row = await self._find(job_id)
        if row is None or row["path"] is None or row["rejected_at"] is not None:
            raise Refusal(Reason.NOT_FOUND)
        return await self._unexpired(row)

    async def for_guest(self, job_id: UUID) -> Mapping[str, Any]:
        """The same for whoever has a guest's link, which is there before the picture is.

        Raises Refusal too for what waits for its moderator; `not_found` says when to ask again while there is hope.
        """
        row = await self._find(job_id)
        if row is None or (row["path"] is None and row["status"] in ("queued", "processing")):
            # The link is signed, so there is such a job; its row may not have reached the database yet.
            raise Refusal(Reason.NOT_FOUND, "There is no picture yet.", retry_after=WAIT)
        if row["path"] is None or row["rejected_at"] is not None:
            raise Refusal(Reason.NOT_FOUND)
        if not row["expired"] and row["moderated"] and row["approved_at"] is None:
            raise Refusal(Reason.NOT_FOUND)
        return await self._unexpired(row)

    async def _find(self, job_id: UUID) -> Mapping[str, Any] | None:
        return await self._db.fetchrow(_RESULT, job_id)

    async def _unexpired(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        if row["expired"]:
            if self._cleaning():
                await self._retention.sweep(job_id=row["job_id"])
            raise Refusal(Reason.RESULT_EXPIRED)
        return row


def download_name(row: Mapping[str, Any]) -> str:
    """What a saved picture is called: its moment, and enough of its id to be no other's name."""
    taken_at: datetime = row["taken_at"]
    extension = "png" if row["mime"] == "image/png" else "jpg"
    return f"{taken_at:%Y-%m-%d_%H-%M-%S}_{str(row['job_id'])[:8]}.{extension}"
