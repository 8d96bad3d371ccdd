"""Repeats of what an earlier process did: found in PostgreSQL, by key and by photo."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import trio

from photochanger.db.facade import Db
from photochanger.domain.job import JobStatus, ReplyKind, Source
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.reasons import Reason
from photochanger.domain.records import AttemptRow, Change, JobRow, ResultRow
from photochanger.domain.slot import Plan, Slot
from photochanger.errors import Refusal
from photochanger.jobs.journal import Journal
from photochanger.jobs.store import JobStore
from photochanger.jobs.twins import KEY_LIFE, Done, Twins
from photochanger.media.filesystem import FilesystemStore

SHA = b"\x01" * 32
OTHER = b"\x02" * 32
SLOT = Slot("slot-001", 3, "gemini", "edit", fallbacks=(Plan("turbotext", "edit"), Plan("local", "look")))
MINUTE = timedelta(minutes=1)


class Past:
    """Writes what an earlier process would have left."""

    def __init__(self, db: Db, folder: Path) -> None:
        self.store = JobStore(db, Journal(folder / "journal"))
        self.db = db
        self.twins = Twins(db, FilesystemStore(folder / "media"))

    async def job(
        self, *, key: str | None = None, expires: timedelta = 60 * MINUTE, made_by: str = "gemini", **columns: Any
    ) -> JobRow:
        now = datetime.now(UTC)
        row = JobRow(
            id=uuid4(),
            slot_id=SLOT.id,
            slot_version=SLOT.version,
            provider="gemini",
            deadline=now,
            settle_by=now,
            request_bytes=12,
            request_sha256=SHA,
            photo_name="a.jpg",
            created_at=now,
            idempotency_key=key,
            status=JobStatus.DONE,
            reply_kind=ReplyKind.AI,
            reply_status=200,
            finished_at=now,
        )
        row = replace(row, **columns)
        if row.status is not JobStatus.DONE:
            await self.store.save(Change(row))
            return row
        attempt = AttemptRow(uuid4(), row.id, 1, made_by, "model", now).ended(AttemptOutcome(Verdict.PICTURE), now, 1.0)
        path = f"results/{row.id}.jpg"
        result = ResultRow(
            uuid4(), row.id, attempt.id, "image/jpeg", bytes(32), 80, 60, path, now, now + expires, bytes=99
        )
        await self.store.save(Change(row, (attempt,), result))
        return row

    async def look_up(self, sha256: bytes = SHA, key: str | None = None, slot: Slot = SLOT) -> Done | None:
        return await self.twins.look_up(slot, sha256, key)


@pytest.fixture
def past(db: Db, tmp_path: Path) -> Past:
    return Past(db, tmp_path)


async def test_by_its_key(past: Past) -> None:
    old = datetime.now(UTC) - timedelta(hours=23)
    job = await past.job(key="key-1", created_at=old, finished_at=old)
    found = await past.look_up(key="key-1")
    assert found is not None
    assert (found.job_id, found.reply.kind, found.reply.path.name) == (job.id, ReplyKind.AI, f"{job.id}.jpg")
    assert (found.reply.mime, found.reply.size, found.reply.width, found.reply.height) == ("image/jpeg", 99, 80, 60)
    assert await past.look_up(key="key-2") is None


async def test_a_key_of_another_photo_is_a_conflict(past: Past) -> None:
    await past.job(key="key-1")
    with pytest.raises(Refusal) as conflict:
        await past.look_up(OTHER, "key-1")
    assert conflict.value.reason is Reason.IDEMPOTENCY_CONFLICT
    assert await past.look_up(OTHER, "key-1", replace(SLOT, id="slot-002")) is None


async def test_a_key_ends_after_a_day(past: Past) -> None:
    old = datetime.now(UTC) - timedelta(seconds=KEY_LIFE + 60)
    await past.job(key="key-1", created_at=old, finished_at=old)
    assert await past.look_up(key="key-1") is None
    assert await past.look_up(OTHER, "key-1") is None


async def test_by_its_photo(past: Past) -> None:
    job = await past.job()
    found = await past.look_up()
    assert found is not None
    assert found.job_id == job.id
    assert (await past.look_up(key="key-1")) == found  # a key that nobody has used yet


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"slot_version": 2}, "other settings"),
        ({"request_sha256": OTHER}, "another photo"),
        ({"source": Source.UI_TEST}, "a test run"),
        ({"status": JobStatus.FAILED, "failure_reason": Reason.PROVIDER_ERROR}, "no picture"),
        ({"status": JobStatus.PROCESSING, "finished_at": None}, "never finished"),
        ({"finished_at": datetime.now(UTC) - 5 * MINUTE}, "too long ago"),
        ({"expires": -MINUTE}, "its picture has gone"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
async def test_what_is_no_repeat(past: Past, columns: dict[str, Any], why: str) -> None:
    await past.job(**columns)
    assert await past.look_up() is None, why


@pytest.mark.parametrize("how", [{"status": JobStatus.FAILED}, {"expires": -MINUTE}], ids=["failed", "expired"])
async def test_a_key_whose_picture_is_not_there_is_a_new_try(past: Past, how: dict[str, Any]) -> None:
    await past.job(key="key-1", **how)
    assert await past.look_up(key="key-1") is None


async def test_with_dedupe_off_the_photo_is_new(past: Past) -> None:
    await past.job(key="key-1")
    off = replace(SLOT, dedupe_seconds=0)
    assert await past.look_up(slot=off) is None
    assert await past.look_up(key="key-1", slot=off) is not None


async def test_the_newest_counts(past: Past) -> None:
    await past.job(created_at=datetime.now(UTC) - MINUTE / 2)
    newest = await past.job()
    found = await past.look_up()
    assert found is not None
    assert found.job_id == newest.id


@pytest.mark.parametrize(
    ("made_by", "kind"),
    [
        ("gemini", ReplyKind.AI),
        ("turbotext", ReplyKind.FALLBACK),
        ("local", ReplyKind.LOCAL),
        ("retired", ReplyKind.AI),
    ],
)
async def test_the_answer_says_whose_picture_it_is(past: Past, made_by: str, kind: ReplyKind) -> None:
    await past.job(made_by=made_by, reply_kind=ReplyKind.NONE)  # no booth got it: its provider tells
    found = await past.look_up()
    assert found is not None
    assert found.reply.kind is kind


async def test_the_answer_is_called_what_the_booth_was_told(past: Past) -> None:
    await past.job(made_by="gemini", reply_kind=ReplyKind.FALLBACK)  # of another model of the same provider
    found = await past.look_up()
    assert found is not None
    assert found.reply.kind is ReplyKind.FALLBACK


async def test_without_postgresql_the_photo_is_new(past: Past) -> None:
    await past.job(key="key-1")
    past.db.disconnect("it has gone")
    assert await past.look_up(key="key-1") is None


async def test_a_frozen_postgresql_holds_no_photo_up(past: Past) -> None:
    await past.job(key="key-1")
    async with past.db.transaction() as frozen:
        await frozen.execute("LOCK TABLE job IN ACCESS EXCLUSIVE MODE")
        with trio.fail_after(20):
            assert await past.look_up(key="key-1") is None
    assert await past.look_up(key="key-1") is not None
