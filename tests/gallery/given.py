"""Pictures as a gallery finds them: rows and files, put there without a provider."""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from uuid import UUID, uuid4, uuid5

import trio
import trio.testing

from photochanger.media.store import preview_path
from tests.lab.house import Lab
from tests.lab.pictures import photo

_JOB = """
INSERT INTO job (id, slot_id, slot_version, source, status, failure_reason, provider, deadline, settle_by,
                 request_bytes, request_sha256, photo_name, created_at)
VALUES ($1, $2, 1, $3, $4, $5, 'gemini', $6, $6, 10, '\\x00', 'guest-name-on-card.jpg', $6)
"""
_RESULT = """
INSERT INTO result (id, job_id, mime, bytes, sha256, width, height, path, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, 64, 48, $6, $7, $8)
"""
_MEDIA = """
INSERT INTO media_object (id, job_id, slot_id, scope, path, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
HOUR = timedelta(hours=1)


@lru_cache
def picture() -> bytes:
    """A small JPEG."""
    return photo(64, 48)


def now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


async def quiet(lab: Lab) -> None:
    """Wait until every answer was sent, and see that nothing is left of any: file, thread, database connection."""
    pool = lab.house.db._pool
    assert pool is not None
    with trio.fail_after(20):
        while lab.house.server.connections or pool.state().leased or lab.house.pictures.state().running:
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert lab.temp_files() == []
    assert not any(lab.house.pictures.state().queued.values())


async def put_job(
    lab: Lab,
    slot: str = "slot-001",
    *,
    status: str = "done",
    reason: str | None = None,
    source: str = "ingest",
    at: datetime | None = None,
) -> UUID:
    """A job without a result."""
    job_id = uuid4()
    await lab.house.db.execute(_JOB, job_id, slot, source, status, reason, at or now())
    return job_id


async def put_result(
    lab: Lab,
    slot: str = "slot-001",
    *,
    source: str = "ingest",
    status: str = "done",
    at: datetime | None = None,
    expires_at: datetime | None = None,
    data: bytes | None = None,
    preview: bool = False,
    mime: str = "image/jpeg",
) -> UUID:
    """A job with a result, its file and its rows; the preview's file only with `preview`."""
    at = at or now()
    expires_at = expires_at or at + 72 * HOUR
    data = picture() if data is None else data
    job_id = await put_job(lab, slot, status=status, source=source, at=at)
    path = f"results/{at.date().isoformat()}/{job_id}.{'png' if mime == 'image/png' else 'jpg'}"
    file = place(lab, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    if preview:
        place(lab, preview_path(path)).write_bytes(b"preview")
    digest = hashlib.sha256(data).digest()
    await lab.house.db.execute(_RESULT, uuid4(), job_id, mime, len(data), digest, path, at, expires_at)
    for scope, where in (("result", path), ("preview", preview_path(path))):
        await lab.house.db.execute(_MEDIA, uuid5(job_id, scope), job_id, slot, scope, where, at, expires_at)
    return job_id


async def put_media(lab: Lab, job_id: UUID, slot: str, scope: str, path: str, expires_at: datetime) -> UUID:
    """One more file of a job, with its row."""
    file = place(lab, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * 100)
    row_id = uuid4()
    await lab.house.db.execute(_MEDIA, row_id, job_id, slot, scope, path, now(), expires_at)
    return row_id


def place(lab: Lab, path: str) -> Path:
    """Where a kept file lies."""
    return lab.var / "media" / path


def files_of(lab: Lab, job_id: UUID | str) -> list[str]:
    """What lies on the disk for a job."""
    return sorted(path.name for path in (lab.var / "media").rglob("*") if str(job_id) in path.name and path.is_file())


async def expire(lab: Lab, job_id: UUID, ago: timedelta = timedelta(seconds=1)) -> None:
    """Have everything of a job expired since `ago`."""
    for table in ("result", "media_object"):
        await lab.house.db.execute(
            f"UPDATE {table} SET expires_at = now() - $2::interval WHERE job_id = $1", job_id, ago
        )


async def cleaned(lab: Lab, job_id: UUID) -> set[str]:
    """The scopes of a job whose rows say that the file is gone."""
    statement = "SELECT scope FROM media_object WHERE job_id = $1 AND cleaned_at IS NOT NULL"
    return {row["scope"] for row in await lab.house.db.fetch(statement, job_id)}
