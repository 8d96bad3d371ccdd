"""What has expired goes: the one way in which kept files are removed, whoever asks for it.

A file is removed first and its row says so after that, so a crash between the two is repaired by the next round:
removing what is gone is fine. A file that cannot be removed stays due and holds up no other.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import trio

from photochanger.db.facade import Db
from photochanger.errors import StorageUnavailable
from photochanger.media.store import KeptFile, MediaStore
from photochanger.observability.metrics import Metrics

log = logging.getLogger(__name__)

BATCH: Final = 100
"""Rows that are locked at once, while their files are removed."""
LOOK: Final = 500
"""Files whose rows are asked for at once."""
CLEANED_AGE: Final = 600.0
"""Seconds after which a file is removed again whose row says that it is gone: a preview may have come too late."""
ORPHAN_AGE: Final = 168 * 3600.0
"""Seconds after which a file goes that no row knows: a crash, or a database that was away, may have left it behind.

As long as a result may be kept at most: somebody may have been promised the picture.
"""
TEMP_AGE: Final = 3 * 3600.0
"""Seconds without a change after which a temp folder belongs to nobody: no photo is at work for so long."""

_DUE: Final = """
SELECT id, scope, path, expires_at FROM media_object
WHERE cleaned_at IS NULL AND expires_at <= now() AND (expires_at, id) > ($1, $2)
"""
_OF_SLOT: Final = " AND slot_id = $3"
_OF_JOB: Final = " AND job_id = $3"
_NEXT: Final = f" ORDER BY expires_at, id LIMIT {BATCH}"
_LOCKED: Final = " FOR UPDATE SKIP LOCKED"
_CLEANED: Final = "UPDATE media_object SET cleaned_at = now() WHERE id = ANY($1)"

_EXPIRE_RESULTS: Final = """
UPDATE result SET expires_at = now() FROM job
WHERE job.id = result.job_id AND job.slot_id = $1 AND result.expires_at > now()
      AND job.status NOT IN ('queued', 'processing')
"""
_EXPIRE_MEDIA: Final = """
UPDATE media_object SET expires_at = now() FROM job
WHERE job.id = media_object.job_id AND media_object.slot_id = $1 AND media_object.cleaned_at IS NULL
      AND media_object.expires_at > now() AND job.status NOT IN ('queued', 'processing')
"""
_LEFT: Final = "SELECT count(*) FROM media_object WHERE cleaned_at IS NULL AND slot_id = $1"

_KNOWN: Final = """
SELECT path, bool_or(cleaned_at IS NULL) AS kept FROM media_object WHERE job_id = ANY($1) GROUP BY path
UNION ALL SELECT path, true FROM result WHERE job_id = ANY($1) AND expires_at > now()
"""
# Where neither PostgreSQL nor the journal took a job's end, it stays open until the next start finds its picture.
_OPEN: Final = "SELECT id FROM job WHERE id = ANY($1) AND status IN ('queued', 'processing')"

_FIRST: Final = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))
_JOB_ID: Final = re.compile(r".*/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})[^/]*")


@dataclass(frozen=True, slots=True)
class Swept:
    """What a round came to: files that were there and are not any more, their bytes, and files that would not go."""

    removed_files: int = 0
    freed_bytes: int = 0
    stuck: int = 0

    def __add__(self, other: "Swept") -> "Swept":
        return Swept(
            self.removed_files + other.removed_files,
            self.freed_bytes + other.freed_bytes,
            self.stuck + other.stuck,
        )


async def _always() -> bool:
    return True


class Retention:
    """Removes what is due. `rows_are_whole` tells whether every row is in the database: while some are elsewhere, no
    file counts as unknown. With `dry_run` nothing is removed and everything is counted.
    """

    def __init__(
        self,
        db: Db,
        media: MediaStore,
        metrics: Metrics,
        *,
        rows_are_whole: Callable[[], Awaitable[bool]] = _always,
        dry_run: bool = False,
    ) -> None:
        self._db = db
        self._media = media
        self._metrics = metrics
        self._rows_are_whole = rows_are_whole
        self._dry_run = dry_run

    async def sweep(self, *, slot_id: str | None = None, job_id: UUID | None = None) -> Swept:
        """Remove what has expired: of a slot, of a job, or all of it. Raises DatabaseUnavailable.

        What another task or process is removing at this moment is left to it.
        """
        which: tuple[Any, ...] = ()
        statement = _DUE
        if job_id is not None:
            statement, which = _DUE + _OF_JOB, (job_id,)
        elif slot_id is not None:
            statement, which = _DUE + _OF_SLOT, (slot_id,)
        statement += _NEXT if self._dry_run else _NEXT + _LOCKED
        swept, after = Swept(), _FIRST
        while True:
            async with self._db.transaction() as transaction:
                rows = await transaction.fetch(statement, *after, *which)
                batch, gone = await self._remove([(row["id"], row["scope"], row["path"]) for row in rows])
                if gone:
                    await transaction.execute(_CLEANED, gone)
            swept += batch
            if len(rows) < BATCH:
                return swept
            after = (rows[-1]["expires_at"], rows[-1]["id"])  # so that what would not go is not tried twice

    async def empty(self, slot_id: str) -> Swept:
        """Let everything of a slot expire now and remove it; jobs at work keep what is theirs.

        Raises DatabaseUnavailable.
        """
        async with self._db.transaction() as transaction:
            await transaction.execute(_EXPIRE_RESULTS, slot_id)
            await transaction.execute(_EXPIRE_MEDIA, slot_id)
        return await self.sweep(slot_id=slot_id)

    async def left(self, slot_id: str) -> int:
        """How many files of a slot are kept. Raises DatabaseUnavailable."""
        count: int = await self._db.fetchval(_LEFT, slot_id)
        return count

    async def sweep_orphans(self) -> Swept:
        """Remove files that no row keeps, temp folders that nobody uses and days without files.

        On the way the disk's use is measured. A folder that cannot be read or removed counts as stuck and holds up no
        other. Raises DatabaseUnavailable, and StorageUnavailable where the media folder itself cannot be read.
        """
        swept, used = Swept(), dict.fromkeys(("results", "previews", "originals"), 0)
        for folder in await self._media.kept_folders():
            try:
                swept += await self._sweep_folder(folder, used)
            except StorageUnavailable as error:
                log.error("%s cannot be cleaned up: %s", folder, error)
                self._metrics.media_stuck(1)
                swept += Swept(stuck=1)
        self._metrics.media_used(used)
        if not self._dry_run:
            count, stuck = await self._media.sweep_temp(TEMP_AGE)
            if count:
                log.warning("%d temp folders that nobody used any more were removed", count)
            if stuck:
                self._metrics.media_stuck(stuck)
                swept += Swept(stuck=stuck)
        return swept

    async def _sweep_folder(self, folder: str, used: dict[str, int]) -> Swept:
        """The files of a day; their bytes are added to `used`. Raises DatabaseUnavailable and StorageUnavailable."""
        swept = Swept()
        files = await self._media.kept_files(folder)
        for start in range(0, len(files), LOOK):  # a day may have very many: nobody waits for all of them
            some = files[start : start + LOOK]
            for file in some:
                used[_kind(file.path)] += file.bytes
            swept += await self._remove_orphans([file for file in some if file.age >= CLEANED_AGE])
            await trio.lowlevel.checkpoint()
        if not files and not self._dry_run:
            await self._media.remove_empty(folder)
        return swept

    async def _remove_orphans(self, files: Sequence[KeptFile]) -> Swept:
        if not files:
            return Swept()
        jobs = {file.path: UUID(found[1]) for file in files if (found := _JOB_ID.fullmatch(file.path))}
        ids = list(set(jobs.values()))
        no_row_is_missing = await self._rows_are_whole()  # first: a row that comes meanwhile is not missed then
        known: dict[str, bool] = {}
        for row in await self._db.fetch(_KNOWN, ids):
            known[row["path"]] = row["kept"] or known.get(row["path"], False)
        open_jobs = {row["id"] for row in await self._db.fetch(_OPEN, ids)}
        known |= {path: True for path, job_id in jobs.items() if job_id in open_jobs}
        orphans = [
            file.path
            for file in files
            if (not known[file.path] if file.path in known else no_row_is_missing and file.age >= ORPHAN_AGE)
        ]
        swept, _ = await self._remove([(None, "orphan", path) for path in orphans])
        if orphans and not self._dry_run:
            log.warning("%d files that no row keeps were removed, as %s", swept.removed_files, orphans[0])
        return swept

    async def _remove(self, files: Sequence[tuple[UUID | None, str, str]]) -> tuple[Swept, list[UUID]]:
        """Remove files, given as (id of the row, scope, path): what that came to, and the rows whose file is gone."""
        swept, gone, failure = Swept(), [], ""
        for row_id, scope, path in files:
            try:
                size = await (self._media.size(path) if self._dry_run else self._media.remove(path))
            except (StorageUnavailable, ValueError) as error:  # ValueError: a path that leads out of the folder
                swept += Swept(stuck=1)
                failure = failure or f"{path}: {error}"
                continue
            if size is not None:
                swept += Swept(1, size)
            if not self._dry_run:
                if size is not None:
                    self._metrics.media_removed(scope, size)
                if row_id is not None:
                    gone.append(row_id)
        if swept.stuck:
            log.error("%d expired files cannot be removed, as %s", swept.stuck, failure)
            self._metrics.media_stuck(swept.stuck)
        return swept, gone


def _kind(path: str) -> str:
    if path.startswith("originals/"):
        return "originals"
    return "previews" if path.endswith("_preview.webp") else "results"
