"""Previews that were not made in a pause of the work: made when somebody looks, once, however many look."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid5

import trio

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.errors import PictureError, Refusal
from photochanger.media.files import storage_error
from photochanger.media.store import MediaStore, preview_path
from photochanger.media.threads import PictureThreads, Priority
from photochanger.media.verify import write_preview

log = logging.getLogger(__name__)

WAITING: Final = 64
"""Looks at previews that do not exist yet which may wait; beyond that they are asked to come again."""
PATIENCE: Final = 20.0
"""Seconds that one of them waits for a pause in the work."""
AGAIN: Final = 5
"""Seconds after which it is worth looking again."""

# The row is there since the result is, except after a crash that took it; one whose file is gone stays as it is.
_ROW: Final = """
INSERT INTO media_object (id, job_id, slot_id, scope, path, created_at, expires_at)
SELECT $1, $2, $3, 'preview', $4, now(), $5
WHERE NOT EXISTS (SELECT FROM media_object WHERE job_id = $2 AND path = $4)
ON CONFLICT DO NOTHING
"""


class Previews:
    """Makes previews; `waiting` is how many are waited for at this moment."""

    def __init__(self, db: Db, media: MediaStore, pictures: PictureThreads) -> None:
        self._db = db
        self._media = media
        self._pictures = pictures
        self._making: dict[UUID, trio.Lock] = {}
        self.waiting = 0

    async def make(self, row: Mapping[str, Any]) -> None:
        """Have the preview of a result on the disk, unless its picture has gone. `row` is of `find_result`.

        Raises Refusal: `not_found` for a picture that is gone or damaged, `queue_full` when there is no pause in the
        work; DatabaseUnavailable, StorageUnavailable.
        """
        if self.waiting >= WAITING:
            raise Refusal(Reason.QUEUE_FULL, retry_after=AGAIN)
        self.waiting += 1
        try:
            with trio.move_on_after(PATIENCE):
                async with self._alone(row["job_id"]):
                    await self._make(row)
                return
        finally:
            self.waiting -= 1
        raise Refusal(Reason.QUEUE_FULL, retry_after=AGAIN)

    @asynccontextmanager
    async def _alone(self, job_id: UUID) -> AsyncIterator[None]:
        lock = self._making.setdefault(job_id, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():
                self._making.pop(job_id, None)

    async def _make(self, row: Mapping[str, Any]) -> None:
        job_id, path = row["job_id"], preview_path(row["path"])
        if await self._media.size(path) is not None:
            return
        if await self._media.size(row["path"]) is None:
            raise Refusal(Reason.NOT_FOUND)
        folder = self._media.temp_path("previews", str(job_id))
        try:
            picture = self._media.locate(row["path"])
            await self._pictures.run(Priority.PREVIEW, _draw, picture, folder)
            await self._db.execute(_ROW, uuid5(job_id, "preview"), job_id, row["slot_id"], path, row["expires_at"])
            await self._media.keep_preview(folder / "preview", row["path"])
        except PictureError as error:
            log.error("the result of job %s cannot be previewed: %s", job_id, error.detail)
            raise Refusal(Reason.NOT_FOUND) from None
        finally:
            await self._media.remove_temp("previews", str(job_id))


def _draw(picture: Path, folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, "A preview cannot be made") from error
    write_preview(picture, folder / "preview")
